"""What every parameterization has to obey."""

import math
from collections.abc import Callable
from dataclasses import asdict

import pytest

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.projection import Projection, multipliers, project
from proxytune.scaling.rules import Powers, Role

NAMES = ["sp", "mup", "completep", "gqa-mup"]
OPTIONS = [
    Parameterization.model_validate(label)
    for label in (
        *NAMES,
        *(f"{name}:shape_init=spectral:embedding_weight_decay=true" for name in NAMES),
        *(f"{name}:rules_version=1" for name in NAMES),
        "sp:embedding_lr_width_exponent=1",
        "mup:wd_width_exponent=0.5:embedding_lr_width_exponent=-0.5",
        "completep:depth_alpha=0.5",
        "gqa-mup:kv_rule=spectral",
        "gqa-mup:kv_rule=none",
        "gqa-mup:wd_width_exponent=0:embedding_lr_width_exponent=-0.5:depth_alpha=0.5",
    )
]
BASE = Shape(d_model=32, n_layers=2, n_heads=4)
SMALL = Shape(d_model=64, n_layers=3, n_heads=6, n_kv_heads=2, head_dim=8, d_ff=100)
LARGE = Shape(d_model=256, n_layers=24, n_heads=14, n_kv_heads=2, head_dim=48, d_ff=1000)
HYPERPARAMETERS = BaseHyperparameters(learning_rate=0.02, weight_decay=0.3, kv_lr_multiplier=1.5)


def numbers(projection: Projection) -> dict[str, float]:
    """All numbers of a projection by name; gains have no init std."""
    roles = {
        f"{role}.{name}": value
        for role, settings in projection.roles.items()
        for name, value in asdict(settings).items()
        if value is not None
    }
    return roles | {f"forward.{name}": v for name, v in asdict(projection.forward).items()}


@pytest.mark.parametrize("parameterization", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [BASE, SMALL, LARGE], ids=["base", "small", "large"])
def test_identity(shape: Shape, parameterization: Parameterization) -> None:
    assert set(numbers(multipliers(shape, shape, parameterization)).values()) == {1.0}


@pytest.mark.parametrize("parameterization", OPTIONS, ids=str)
def test_composition(parameterization: Parameterization) -> None:
    direct = numbers(multipliers(BASE, LARGE, parameterization))
    first = numbers(multipliers(BASE, SMALL, parameterization))
    second = numbers(multipliers(SMALL, LARGE, parameterization))
    for name, value in direct.items():
        assert first[name] * second[name] == pytest.approx(value), name


MULTIPLIERS = {
    f"{role}_lr_multiplier": value
    for role, value in {"embedding": 3, "kv": 1.5, "unembedding": 0.4, "norm": 2}.items()
}
UNDECAYED = {Role.NORM, Role.QK_NORM, Role.FINAL_NORM}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("decayed", [False, True])
@pytest.mark.parametrize(
    "label",
    [
        *NAMES,
        "sp:embedding_lr_width_exponent=1",
        "mup:embedding_lr_width_exponent=-0.5",
        "gqa-mup:kv_rule=spectral",
        "gqa-mup:kv_rule=none",
    ],
)
def test_lr_times_decay_is_that_of_the_base(label: str, decayed: bool, tied: bool) -> None:
    """ηλ in every decayed role, at every shape, whatever multiplies the learning rates."""
    rules = Parameterization.model_validate(f"{label}:embedding_weight_decay={decayed}")
    hp = BaseHyperparameters.model_validate(
        {"learning_rate": 0.02, "weight_decay": 0.3, "key_lr_multiplier": 0.7} | MULTIPLIERS
    )
    undecayed = UNDECAYED | (set() if decayed or tied else {Role.EMBEDDING})
    for shape in (BASE, SMALL, LARGE):
        got = project(hp, BASE.at(tied=tied), shape.at(tied=tied, qk_norm=True), rules).roles
        for role, settings in got.items():
            expected = 0.0 if role in undecayed else 0.02 * 0.3
            assert settings.lr * settings.weight_decay == pytest.approx(expected), role


def test_keys_and_values_have_one_rule_and_multipliers_of_their_own() -> None:
    plain = project(BaseHyperparameters(), BASE, LARGE, Parameterization()).roles
    assert plain[Role.KEY] == plain[Role.VALUE] == plain[Role.KV]
    hp = BaseHyperparameters(kv_lr_multiplier=3, key_lr_multiplier=0.5, value_lr_multiplier=4)
    got = project(hp, BASE, LARGE, Parameterization()).roles
    assert got[Role.KEY].lr == pytest.approx(1.5 * plain[Role.KEY].lr)
    assert got[Role.VALUE].lr == pytest.approx(12 * plain[Role.VALUE].lr)
    assert Role.KV not in got


def test_a_tied_table_decays_as_the_head_it_is() -> None:
    tied = project(HYPERPARAMETERS, BASE.at(tied=True), LARGE.at(tied=True), Parameterization())
    untied = project(HYPERPARAMETERS, BASE, LARGE, Parameterization())
    assert tied.roles[Role.EMBEDDING].weight_decay == HYPERPARAMETERS.weight_decay
    assert untied.roles[Role.UNEMBEDDING].weight_decay == HYPERPARAMETERS.weight_decay
    assert untied.roles[Role.EMBEDDING].weight_decay == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_the_spectral_init_follows_the_ratio_of_the_sides(name: str) -> None:
    """min(1, √(o/n)) over that of the base, on top of the fan-in's σ/√m_in."""
    target = LARGE.at(d_ff=64, n_heads=2, n_kv_heads=1)  # both narrower than d_model = 256
    plain, spectral = (
        multipliers(BASE, target, Parameterization.model_validate(f"{name}:shape_init={init}"))
        for init in ("fan_in", "spectral")
    )
    factors = {
        role: settings.init_std / plain.roles[role].init_std  # type: ignore[operator]
        for role, settings in spectral.roles.items()
    }
    of_heads, of_mlp = math.sqrt(2 * 48 / 256), math.sqrt(64 / 256)
    expected = {Role.QUERY: of_heads, Role.KEY: of_heads, Role.VALUE: of_heads}
    expected |= {Role.KV: of_heads, Role.HIDDEN: of_mlp}
    # The base's MLP narrows from 96 to 32: there it began at √(1/3) of the fan-in's.
    expected[Role.MLP_OUT] = math.sqrt(96 / 32)
    for role, factor in factors.items():
        assert factor == pytest.approx(expected.get(role, 1.0)), role
    rest = [Role.EMBEDDING, Role.UNEMBEDDING, Role.ATTENTION_OUT]
    assert [factors[role] for role in rest] == [1.0] * 3


def test_sp_can_give_the_embedding_the_rate_that_mup_gives_it() -> None:
    rules = Parameterization.model_validate("sp:embedding_lr_width_exponent=1")
    by = numbers(multipliers(BASE, LARGE, rules))
    plain = numbers(multipliers(BASE, LARGE, Parameterization(name="sp")))
    changed = {name: value for name, value in by.items() if value != plain[name]}
    m_d = 256 / 32
    assert changed == {"embedding.lr": m_d, "embedding.weight_decay": 1 / m_d}


EPS = ("unembedding", "final_norm", "qk_norm", "key", "value", "kv")


def test_version_1_differs_in_what_version_2_put_right() -> None:
    """So that a stored study goes on meaning what it was tuned with."""
    hp = BaseHyperparameters.model_validate({"weight_decay": 0.3} | MULTIPLIERS)
    versions = [
        numbers(
            project(
                hp,
                BASE.at(qk_norm=True, tied=tied),
                LARGE.at(qk_norm=True, tied=tied),
                Parameterization(rules_version=version),
            )
        )
        for tied in (False, True)
        for version in (1, 2)
    ]
    untied, tied = (
        {name for name, value in old.items() if new[name] != pytest.approx(value)}
        for old, new in (versions[:2], versions[2:])
    )
    decays = {f"{role}.weight_decay" for role in ("unembedding", "key", "value", "kv")}
    assert untied == {f"{role}.eps" for role in EPS} | decays
    heads = {"unembedding.eps", "unembedding.weight_decay"}
    assert tied == untied - heads | {"embedding.weight_decay"}
    m_d, m_l = 256 / 32, 24 / 2
    assert versions[0]["unembedding.eps"] == versions[0]["final_norm.eps"] == hp.eps
    assert versions[2]["embedding.weight_decay"] == 0.0
    for role in ("qk_norm", "key", "value", "kv"):
        assert versions[0][f"{role}.eps"] == pytest.approx(hp.eps / (m_d * m_l))
    assert versions[0]["kv.weight_decay"] == pytest.approx(0.3 * m_d / s(7))


def test_the_repeat_factor_is_absolute() -> None:
    """A base that repeats its heads stands for no other base hyperparameters than one without."""
    grouped = BASE.at(n_kv_heads=1)
    for parameterization in OPTIONS:
        assert project(HYPERPARAMETERS, grouped, LARGE, parameterization) == project(
            HYPERPARAMETERS, BASE, LARGE, parameterization
        )


def s(repeat: int) -> float:
    return (1 + math.sqrt(repeat)) / 2


def test_the_table_of_gqa_mup_written_out() -> None:
    """Every cell, by hand, for a target whose matrices have different fan-in ratios."""
    hp = HYPERPARAMETERS
    got = project(hp, BASE, LARGE.at(qk_norm=True), Parameterization())
    m_d, m_l = 256 / 32, 24 / 2
    for role, m_in in {
        Role.QUERY: 256 / 32,
        Role.HIDDEN: 256 / 32,
        Role.ATTENTION_OUT: 14 * 48 / 32,
        Role.MLP_OUT: 1000 / 96,
    }.items():
        settings = got.roles[role]
        assert settings.init_std == pytest.approx(hp.init_std / math.sqrt(m_in))
        assert settings.lr == pytest.approx(hp.learning_rate / m_in)
        assert settings.weight_decay == pytest.approx(hp.weight_decay * m_in)
        assert settings.eps == pytest.approx(hp.eps / (m_d * m_l))
    for role in (Role.KEY, Role.VALUE, Role.KV):
        kv = got.roles[role]
        assert kv.init_std == pytest.approx(hp.init_std / math.sqrt(m_d))
        assert kv.lr == pytest.approx(1.5 * hp.learning_rate * s(7) / m_d)
        assert kv.weight_decay == pytest.approx(hp.weight_decay * m_d / s(7) / 1.5)
        assert kv.eps == pytest.approx(hp.eps * math.sqrt(7) / (m_d * m_l))
    embedding = got.roles[Role.EMBEDDING]
    assert (embedding.init_std, embedding.lr) == (hp.embedding_init_std, hp.learning_rate)
    assert (embedding.weight_decay, embedding.eps) == (0.0, pytest.approx(hp.eps / m_d))
    unembedding = got.roles[Role.UNEMBEDDING]
    assert (unembedding.init_std, unembedding.lr) == (hp.unembedding_init_std, hp.learning_rate)
    assert unembedding.weight_decay == hp.weight_decay
    assert unembedding.eps == pytest.approx(hp.eps / m_d)
    assert unembedding.multiplier == got.forward.logits == pytest.approx(1 / m_d)
    assert got.roles[Role.NORM].lr == hp.learning_rate
    assert got.roles[Role.NORM].weight_decay == got.roles[Role.FINAL_NORM].weight_decay == 0.0
    assert got.roles[Role.NORM].eps == pytest.approx(hp.eps / (m_d * m_l))
    assert got.roles[Role.FINAL_NORM].eps == pytest.approx(hp.eps / m_d)
    assert got.roles[Role.QK_NORM].eps == pytest.approx(hp.eps / (48 / 8 * m_l))
    assert got.forward.embedding == 1.0
    assert got.forward.attention == pytest.approx(math.sqrt(8) / 48)
    assert got.forward.residual == pytest.approx(1 / m_l)


Rule = Callable[[int], float]
KV_RULES: dict[str, tuple[Rule, Rule]] = {
    "paper": (lambda r: 1.0, s),
    "spectral": (lambda r: 2 / (1 + math.sqrt(r)), lambda r: 1 / math.sqrt(r)),
    "none": (lambda r: 1.0, lambda r: 1.0),
}


@pytest.mark.parametrize("repeat", [1, 2, 3, 4, 7, 8, 16])
@pytest.mark.parametrize("kv_rule", KV_RULES)
def test_kv_rules_move_only_keys_and_values(kv_rule: str, repeat: int) -> None:
    init, lr = KV_RULES[kv_rule]
    base = Shape(d_model=128, n_layers=1, n_heads=repeat, head_dim=16)
    rule = Parameterization.model_validate({"kv_rule": kv_rule})
    by = numbers(multipliers(base, base.at(n_kv_heads=1), rule))
    for role in ("key", "value", "kv"):
        assert by.pop(f"{role}.init_std") == pytest.approx(init(repeat))
        assert by.pop(f"{role}.lr") == pytest.approx(lr(repeat))
        assert by.pop(f"{role}.weight_decay") == pytest.approx(1 / lr(repeat))
        assert by.pop(f"{role}.eps") == pytest.approx(math.sqrt(repeat))
    assert set(by.values()) == {1.0}


def test_narrower_parameterizations_leave_columns_out() -> None:
    deep = BASE.at(n_layers=8)
    grouped = BASE.at(n_kv_heads=1)
    wide = BASE.at(d_model=128, n_heads=16, d_ff=384)
    changes = {
        name: tuple(
            set(numbers(multipliers(BASE, shape, Parameterization(name=name))).values()) != {1.0}
            for shape in (wide, deep, grouped)
        )
        for name in ("mup", "completep", "gqa-mup")
    }
    assert changes == {
        "mup": (True, False, False),
        "completep": (True, True, False),
        "gqa-mup": (True, True, True),
    }


def test_sp_scales_hidden_init_and_attention_alone() -> None:
    by = numbers(multipliers(BASE, LARGE, Parameterization(name="sp")))
    moved = {name for name, value in by.items() if value != 1.0}
    matrices = ("query", "hidden", "attention_out", "mlp_out", "key", "value", "kv")
    assert moved == {f"{role}.init_std" for role in matrices} | {"forward.attention"}
    assert by["forward.attention"] == pytest.approx(math.sqrt(8 / 48))


def test_formulas_read_like_the_table() -> None:
    assert Powers(m_in=-1, s=1).formula("η") == "η·s(r)/m_in"
    assert Powers(m_in=-0.5).formula("σ") == "σ/√m_in"
    assert Powers(m_d=-1, m_L=-1).formula("ε") == "ε/(m_d·m_L)"
    assert Powers().formula("λ") == "λ"
