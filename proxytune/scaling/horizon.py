"""Rules for batch size and length of training: a layer beside the table, which knows shapes only.

Every rule but that of β₂ is a product of powers of ratios between the target's run and the
proxy's, so it is 1 where the runs are alike, and composes by itself. They multiply base
hyperparameters, which the table's multipliers then act on: both are products, so their order does
not matter.

Notation
    B, D    tokens per step, tokens in all
    S, N    optimizer steps, S = D/B; parameters, all of them
    m_x     x of the target over x of the proxy; m_S = m_D/m_B
    k_x     what x is multiplied by: η learning rate, λ weight decay, ε eps
    p       the power of m_D by which the learning rate falls

Sources
    [CdP]   Mlodozeniec et al., Complete(d)P, arXiv 2512.22382, table 1: the SDE rule
    [Mal]   Malladi et al., arXiv 2205.10287: the square root rule of Adam
    [Mar]   Marek et al., arXiv 2507.07101: β₂ by tokens; where the square root fails
    [Bj]    Bjorck et al., arXiv 2409.19913: the power is 0.32; others find 0.3 to 0.5
    [WA]    Wang and Aitchison, arXiv 2405.13698: η·λ·steps is constant
    [PL]    Bergsma et al., Power Lines, arXiv 2505.13738: 1/(ηλS) ∝ (D/N)^−0.527
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from proxytune.config.base import Report, Spec
from proxytune.config.horizon import HorizonSpec, RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.errors import InputError
from proxytune.scaling.projection import Projection
from proxytune.scaling.rules import in_writing

Setting = Literal["learning_rate", "weight_decay", "eps", "one_minus_beta1", "one_minus_beta2"]
SYMBOLS: dict[Setting, str] = {
    "learning_rate": "η",
    "weight_decay": "λ",
    "eps": "ε",
    "one_minus_beta1": "(1−β₁)",
    "one_minus_beta2": "(1−β₂)",
}
LEAST, MOST = 1e-4, 0.5
"""Bounds of 1 − β₁ and 1 − β₂ that a rule does not leave."""
POWER_LINE = 0.527
"""[PL]: the power of tokens per parameter by which 1/(ηλ) takes a smaller share of the run."""
NARROW = 0.15
"""Half the interval of a fitted power, at most."""

Exponents = Mapping[str, float]
"""Powers of m_S, m_B, m_D, m_N and k_η, by symbol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonRule:
    """What one option does."""

    exponents: Mapping[Setting, Exponents]
    source: str
    """The paper, and where the rule was seen to hold."""


class FittedPower(Spec):
    """p as an evidence run measured it, with its 95 % interval."""

    evidence: str
    """Its name."""
    power: float
    """p: the best learning rate falls as the tokens to this power."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    longest: float
    """Tokens of the longest run that it was fitted to."""


class RunRatios(Spec):
    """The target's run over the proxy's; None where one of them is not known."""

    steps: float | None
    """m_S"""
    batch: float | None
    """m_B, of tokens per step."""
    tokens: float | None
    """m_D"""
    parameters: float
    """m_N"""

    @classmethod
    def between(cls, proxy: RunLength, target: RunLength, parameters: float) -> "RunRatios":
        """Of two runs, and the ratio of parameters."""

        def ratio(above: float | None, below: float | None) -> float | None:
            return above / below if above and below else None

        return cls(
            steps=ratio(target.steps, proxy.steps),
            batch=ratio(target.batch, proxy.batch),
            tokens=ratio(target.tokens, proxy.tokens),
            parameters=parameters,
        )


class Horizon(Spec):
    """What horizon rules multiply each setting by, with formulas, and what comes of it."""

    rule: str
    """The rules, as a label."""
    learning_rate: float
    """k_η, on the learning rate."""
    weight_decay: float
    """k_λ, on weight decay."""
    eps: float
    """k_ε, on eps of AdamW."""
    one_minus_beta1: float
    """On 1 − β₁."""
    one_minus_beta2: float
    """On 1 − β₂."""
    ratios: RunRatios
    """The target's run over the proxy's."""
    formulas: dict[Setting, str]
    """Of each setting, before 1 − β is clamped."""
    sources: tuple[str, ...]
    """Of each rule."""
    fitted: FittedPower | None = None
    """The measured power, if the learning rate follows one."""
    values: BaseHyperparameters | None = None
    """The base hyperparameters for the target's run: multiplied, and 1 − β clamped. None: no study
    stands behind it."""
    clamped: tuple[str, ...] = ()
    """What was clamped, in words."""


def horizon(
    spec: HorizonSpec,
    ratios: RunRatios,
    hyperparameters: BaseHyperparameters | None = None,
    fitted: FittedPower | None = None,
) -> Horizon:
    """What the rules make of base hyperparameters on a run of other length or batch.

    None: multipliers alone, where only that of β₂ by tokens depends on β₂, which is then the
    default. `fitted` is the power that `spec.fitted` names. Raises InputError for a rule that
    needs a ratio which is not known.
    """
    rules = _rules(spec, fitted)
    exponents = {name: _sum([rule.exponents.get(name, {}) for rule in rules]) for name in SYMBOLS}
    known = _known(spec, ratios)
    known["k_η"] = _product(exponents["learning_rate"], known)
    by = {name: _product(exponents[name], known) for name in SYMBOLS}
    formulas = {
        name: in_writing(of, list(exponents[name].items())) for name, of in SYMBOLS.items()
    }
    if spec.beta2:
        # The one rule that is no product: β₂ decays by as much per token as in the study.
        by["one_minus_beta1"], formulas["one_minus_beta1"] = 1.0, SYMBOLS["one_minus_beta1"]
        beta2 = (hyperparameters or BaseHyperparameters()).beta2
        by["one_minus_beta2"] = (1 - beta2 ** known["m_B"]) / (1 - beta2)
        formulas["one_minus_beta2"] = "1−β₂^m_B"
    values, clamped = _values(by, hyperparameters) if hyperparameters else (None, ())
    return Horizon(
        rule=spec.label,
        **by,
        ratios=ratios,
        formulas=formulas,
        sources=tuple(rule.source for rule in rules),
        fitted=fitted,
        values=values,
        clamped=clamped,
    )


class HorizonReport(Report):
    """Horizon rules alone: multipliers on the settings of a study."""

    horizon: Horizon
    """Of each setting, with its formula."""


def at_horizon(projection: Projection, of: Horizon | None) -> Projection:
    """A projection, or multipliers, with those of the horizon on top."""
    if of is None:
        return projection
    roles = {
        role: replace(
            settings,
            lr=settings.lr * of.learning_rate,
            weight_decay=settings.weight_decay * of.weight_decay,
            eps=settings.eps * of.eps,
        )
        for role, settings in projection.roles.items()
    }
    return replace(projection, roles=roles)


def _rules(spec: HorizonSpec, fitted: FittedPower | None) -> list[HorizonRule]:
    """The rules that are on."""
    rules = []
    if spec.rule == "sde":
        rules.append(_SDE)
    if spec.batch == "sqrt":
        rules.append(_SQUARE_ROOT)
    if spec.power is not None:
        rules.append(_falling(spec.power, "[Bj] arXiv 2409.19913: 0.32; others found 0.3 to 0.5"))
    if spec.fitted:
        if fitted is None:
            raise InputError.of_field("horizon", spec.label, "needs a measured power, or power=P")
        range_of = f"p = {fitted.power:.3g} [{fitted.low:.3g}, {fitted.high:.3g}]"
        rules.append(_falling(fitted.power, f"evidence {fitted.evidence}: {range_of}"))
    if spec.decay:
        rules.append(_DECAYS[spec.decay])
    if spec.beta2:
        rules.append(
            HorizonRule(exponents={}, source="[Mar] arXiv 2507.07101: β₂ by tokens, β₁ stays")
        )
    return rules


_SDE = HorizonRule(
    exponents={
        "learning_rate": {"m_S": -0.5},
        "weight_decay": {"m_S": -0.5},
        "eps": {"m_S": 0.5},
        "one_minus_beta1": {"m_S": -1},
        "one_minus_beta2": {"m_S": -1},
    },
    source="[CdP] arXiv 2512.22382, table 1; seen from batch ⅛ to 4×, 50M to 7.2B parameters",
)
_SQUARE_ROOT = HorizonRule(
    exponents={
        "learning_rate": {"m_B": 0.5},
        "eps": {"m_B": -0.5},
        "one_minus_beta1": {"m_B": 1},
        "one_minus_beta2": {"m_B": 1},
    },
    source="[Mal] arXiv 2205.10287, below the critical batch; from batch 1 to 1024 the rate rose "
    "3×, not 32× (arXiv 2507.07101)",
)
_DECAYS = {
    "ema": HorizonRule(
        exponents={"weight_decay": {"k_η": -1, "m_S": -1}},
        source="[WA] arXiv 2405.13698: η·λ·steps is constant",
    ),
    "power-lines": HorizonRule(
        exponents={"weight_decay": {"m_D": POWER_LINE, "m_N": -POWER_LINE, "k_η": -1, "m_S": -1}},
        source="[PL] arXiv 2505.13738; seen from 111M to 3.3B parameters, linear decay to zero",
    ),
}


def _falling(power: float, source: str) -> HorizonRule:
    return HorizonRule(exponents={"learning_rate": {"m_D": -power}}, source=source)


def _sum(exponents: Iterable[Exponents]) -> dict[str, float]:
    """The exponents of a product of products."""
    total: dict[str, float] = {}
    for of_rule in exponents:
        for symbol, exponent in of_rule.items():
            total[symbol] = total.get(symbol, 0.0) + exponent
    return total


def _product(exponents: Exponents, known: Mapping[str, float]) -> float:
    return math.prod(known[symbol] ** exponent for symbol, exponent in exponents.items())


def _known(spec: HorizonSpec, ratios: RunRatios) -> dict[str, float]:
    """The ratios by symbol. Raises InputError if the rules need one that is not among them."""
    values = {
        "m_S": ratios.steps,
        "m_B": ratios.batch,
        "m_D": ratios.tokens,
        "m_N": ratios.parameters,
    }
    if lacking := spec.lacks(ratios.model_dump()):
        raise InputError.of_field("horizon", spec.label, lacking)
    return {symbol: value for symbol, value in values.items() if value is not None}


def _values(
    by: Mapping[Setting, float], base: BaseHyperparameters
) -> tuple[BaseHyperparameters, tuple[str, ...]]:
    """The multiplied base hyperparameters, and what was clamped; a β that no rule moves is not."""
    changes = {name: getattr(base, name) * by[name] for name in ("learning_rate", "weight_decay")}
    changes["eps"] = base.eps * by["eps"]
    clamped = []
    for beta in ("beta1", "beta2"):
        before, factor = 1 - getattr(base, beta), by[f"one_minus_{beta}"]  # type: ignore[index]
        if factor == 1:
            continue
        after = min(max(before * factor, LEAST), MOST)
        if not math.isclose(after, before * factor):
            says = f"horizon: 1 − {beta} is {after:.3g}, clamped from {before * factor:.3g}"
            clamped.append(says)
        changes[beta] = 1 - after
    return base.model_copy(update=changes), tuple(clamped)
