"""What every horizon rule has to obey, and the formulas themselves."""

from typing import Any

import pytest

from proxytune.config.horizon import HorizonSpec, RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.scaling.horizon import (
    LEAST,
    MOST,
    SYMBOLS,
    FittedPower,
    Horizon,
    RunRatios,
    at_horizon,
    horizon,
)
from proxytune.scaling.projection import project
from proxytune.scaling.report import multiplier_report, projection_report
from proxytune.scaling.runs import Runs

LABELS = [
    "sde",
    "batch=sqrt",
    "power=0.32",
    "decay=ema",
    "decay=power-lines",
    "beta2=tokens",
    "batch=sqrt:power=0.3:decay=ema",
    "batch=sqrt:power=0.5:decay=power-lines:beta2=tokens",
]
TUNED = BaseHyperparameters(learning_rate=0.02, weight_decay=0.3, beta1=0.8, beta2=0.97, eps=1e-9)
EXACT = pytest.approx


def ratios(batch: float = 1.0, tokens: float = 1.0, parameters: float = 1.0) -> RunRatios:
    return RunRatios(steps=tokens / batch, batch=batch, tokens=tokens, parameters=parameters)


def at(label: str, of: RunRatios, hp: BaseHyperparameters = TUNED) -> Horizon:
    return horizon(HorizonSpec.model_validate(label), of, hp)


def numbers(of: Horizon) -> list[float]:
    return [getattr(of, name) for name in SYMBOLS]


@pytest.mark.parametrize("label", LABELS)
def test_a_run_like_the_studys_changes_nothing(label: str) -> None:
    """Not even a β that is beyond the bounds."""
    beyond = TUNED.model_copy(update={"beta1": 0.0, "beta2": 0.99999})
    for hp in (TUNED, beyond):
        same = at(label, ratios(), hp)
        assert (numbers(same), same.values, same.clamped) == ([1.0] * 5, hp, ())


@pytest.mark.parametrize("label", LABELS)
def test_two_steps_make_one(label: str) -> None:
    """From proxy to a run between and on to the target, as from proxy to target."""
    first, second = ratios(2, 3, 5), ratios(1.2, 4, 7)
    between = at(label, first)
    assert between.values is not None
    then, direct = at(label, second, between.values), at(label, ratios(2.4, 12, 35))
    assert (then.clamped, direct.clamped) == ((), ())
    products = [a * b for a, b in zip(numbers(between), numbers(then), strict=True)]
    assert products == EXACT(numbers(direct), rel=1e-9)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("sde", [0.5, 0.5, 2, 1 / 4, 1 / 4]),
        ("batch=sqrt", [2, 1, 0.5, 4, 4]),
        ("power=0.32", [16**-0.32, 1, 1, 1, 1]),
        ("decay=ema", [1, 1 / 4, 1, 1, 1]),
        ("power=0.5:decay=ema", [1 / 4, 1, 1, 1, 1]),
        ("decay=power-lines", [1, (16 / 10) ** 0.527 / 4, 1, 1, 1]),
        ("beta2=tokens", [1, 1, 1, 1, (1 - 0.97**4) / (1 - 0.97)]),
        ("batch=sqrt:beta2=tokens", [2, 1, 0.5, 1, (1 - 0.97**4) / (1 - 0.97)]),
    ],
)
def test_the_formulas_at_16_times_the_tokens_and_4_times_the_batch(
    label: str, expected: list[float]
) -> None:
    assert numbers(at(label, ratios(4, 16, 10))) == EXACT(expected, rel=1e-9)


@pytest.mark.parametrize(("batch", "tokens"), [(4, 16), (0.125, 3), (7, 7)])
def test_the_sde_rule_keeps_what_it_promises(batch: float, tokens: float) -> None:
    """k_η²·m_S = k_η·k_λ·m_S = k_η·k_ε = 1, and nothing moves where m_B = m_D."""
    of, steps = at("sde", ratios(batch, tokens)), tokens / batch
    k_lr = of.learning_rate
    assert [k_lr**2 * steps, k_lr * of.weight_decay * steps, k_lr * of.eps] == EXACT([1.0] * 3)
    if batch == tokens:
        assert numbers(of) == [1.0] * 5


@pytest.mark.parametrize("also", ["", "batch=sqrt:", "power=0.3:", "batch=sqrt:power=0.3:"])
def test_ema_keeps_decay_over_the_run_whatever_moves_the_rate(also: str) -> None:
    of = at(f"{also}decay=ema", ratios(4, 16))
    assert of.learning_rate * of.weight_decay * (16 / 4) == EXACT(1.0)


@pytest.mark.parametrize("label", LABELS)
def test_horizon_and_shape_rules_commute(label: str) -> None:
    base, target = (
        Shape(d_model=32, n_layers=2, n_heads=4),
        Shape(d_model=256, n_layers=24, n_heads=16, n_kv_heads=2),
    )
    rules = Parameterization()
    of = at(label, ratios(4, 16, 10))
    assert of.values is not None
    first = project(of.values, base, target, rules)
    last = at_horizon(project(TUNED, base, target, rules), of)
    for role, settings in first.roles.items():
        then = last.roles[role]
        assert settings.lr == EXACT(then.lr)
        assert settings.weight_decay == EXACT(then.weight_decay)
        assert settings.eps == EXACT(then.eps)
    assert first.forward == last.forward


def test_betas_are_clamped_last_and_said_to_be() -> None:
    shorter, longer = at("sde", ratios(64, 1)), at("sde", ratios(1, 1e4))
    assert shorter.one_minus_beta1 == 64
    assert shorter.values is not None
    assert longer.values is not None
    for value in (shorter.values.beta1, shorter.values.beta2):
        assert 1 - value == EXACT(MOST)
    for value in (longer.values.beta1, longer.values.beta2):
        assert 1 - value == EXACT(LEAST)
    assert [line for line in longer.clamped if "beta2" in line and "3e-06" in line]
    assert len(shorter.clamped) == 2


def test_a_measured_power_counts_as_a_given_one() -> None:
    spec = HorizonSpec(fitted="lengths")
    measured = FittedPower(evidence="lengths", power=0.4, low=0.3, high=0.5, longest=1e6)
    of = horizon(spec, ratios(tokens=16), TUNED, measured)
    assert numbers(of) == EXACT(numbers(at("power=0.4", ratios(tokens=16))))
    assert of.fitted == measured
    assert "0.4 [0.3, 0.5]" in of.sources[0]
    with pytest.raises(InputError, match="fitted=lengths"):
        horizon(spec, ratios(tokens=16), TUNED)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "names no rule"),
        ("sde:decay=ema", "leave out decay"),
        ({"power": 0.3, "fitted": "lengths"}, "not both"),
        ("sde=1", "Extra inputs"),
    ],
)
def test_rules_that_do_not_compose_are_refused(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HorizonSpec.model_validate(given)


@pytest.mark.parametrize("label", LABELS)
def test_a_label_says_the_whole_spec(label: str) -> None:
    assert HorizonSpec.model_validate(label).label == label


def test_two_of_tokens_steps_and_batch_tell_the_third() -> None:
    whole = RunLength(steps=100, batch=512, tokens=51200)
    for known in (
        {"steps": 100, "batch_size": 8},
        {"tokens": 51200, "batch_size": 8},
        {"tokens": 51200, "steps": 100},
    ):
        assert RunLength.of(seq_len=64, **known) == whole
    assert RunLength.of(seq_len=64, tokens=51200) == RunLength(tokens=51200)


PROXY, TARGET = Shape(d_model=32, n_layers=2, n_heads=4), Shape(d_model=64, n_layers=2, n_heads=8)
STUDY = RunLength.of(seq_len=64, steps=120, batch_size=8)
LONG = RunLength.of(seq_len=64, steps=12_000, batch_size=32)


def projected(target: RunLength, label: str | None, hp: BaseHyperparameters = TUNED) -> Any:
    spec = None if label is None else HorizonSpec.model_validate(label)
    runs = Runs(proxy=STUDY, target=target, spec=spec)
    return projection_report(hp, PROXY, TARGET, Parameterization(), runs=runs)


def test_a_longer_run_without_a_rule_is_said_loudly() -> None:
    """1/(ηλ) = 1/(0.02 · 0.3) = 167 steps, at the proxy and at the target."""
    (line,) = projected(LONG, None).warnings
    for fact in ("120 steps of 512", "12,000 steps of 2,048", "horizon", "167 at the proxy"):
        assert fact in line
    assert "167 at the target, which trains 12,000" in line
    (short,) = projected(RunLength(tokens=1e11), None).warnings
    assert "1e+11 tokens" in short
    (undecayed,) = projected(LONG, None, TUNED.model_copy(update={"weight_decay": 0})).warnings
    assert "1/(lr" not in undecayed


def test_nothing_is_said_of_the_same_run_of_an_unknown_one_or_under_a_rule() -> None:
    for target, label in ((STUDY, None), (RunLength(), None), (LONG, "sde"), (LONG, "power=0.3")):
        assert projected(target, label).warnings == ()


def test_a_power_that_is_carried_far_beyond_its_evidence_is_said() -> None:
    fitted = FittedPower(evidence="lengths", power=0.4, low=0.3, high=0.5, longest=1e6)
    for tokens, says in ((1.6e7, ()), (1.7e7, ("lengths", "1e+06", "1.7e+07"))):
        target = RunLength(tokens=tokens)
        runs = Runs(proxy=STUDY, target=target, spec=HorizonSpec(fitted="lengths"), fitted=fitted)
        warnings = projection_report(TUNED, PROXY, TARGET, Parameterization(), runs=runs).warnings
        assert len(warnings) == bool(says)
        assert all(fact in warnings[0] for fact in says)


def test_a_projection_has_the_rule_in_its_settings_and_formulas() -> None:
    plain, ruled = projected(LONG, None), projected(LONG, "sde")
    assert ruled.hyperparameters == plain.hyperparameters == TUNED
    for role, settings in ruled.roles.items():
        assert settings.lr == EXACT(plain.roles[role].lr / 10)
        assert settings.eps == EXACT(plain.roles[role].eps * 10)
        assert settings.init_std == plain.roles[role].init_std
        assert ruled.folded.roles[role].lr == EXACT(plain.folded.roles[role].lr / 10)
    assert ruled.rules.roles["hidden"].lr == "η·k_η/m_in"
    assert ruled.horizon.values.learning_rate == EXACT(0.002)
    assert plain.horizon is None


def test_a_rule_without_its_ratio_is_refused() -> None:
    with pytest.raises(InputError, match="horizon = 'sde': needs the steps"):
        projected(RunLength(tokens=1e11), "sde")


def test_multipliers_have_those_of_the_horizon_on_top() -> None:
    of = at("sde", ratios(4, 16))
    plain, both = (
        multiplier_report(PROXY, TARGET, Parameterization(), at=given) for given in (None, of)
    )
    for role, settings in both.roles.items():
        assert settings.lr == EXACT(plain.roles[role].lr / 2)
    assert both.folded.roles is not None
    assert plain.folded.roles is not None
    for role, settings in both.folded.roles.items():
        assert settings.lr == EXACT(plain.folded.roles[role].lr / 2)
