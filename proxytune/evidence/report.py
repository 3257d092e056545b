"""The report of an evidence run: what it found, with the curves that it rests on."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from pydantic import Field

from proxytune.config.axis import AnyAxis
from proxytune.config.base import Report, Spec
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.parameterization import Parameterization
from proxytune.evidence.findings import Comparison, Exponents, Finding
from proxytune.evidence.kv import rule_slopes
from proxytune.intervals import Array, Equivalence, Figure, Interval

DRIFT_MARGIN = 0.25
"""Octaves per doubling below which an optimum counts as staying put."""
REGRET_MARGIN = 0.005
"""Nats a token below which a regret counts as none."""

T = TypeVar("T")


class CurvePoint(Spec):
    """The losses at one value of the hyperparameter."""

    value: float
    """The hyperparameter's."""
    loss: tuple[float | None, ...]
    """Validation loss by seed, nats a token; None where training diverged."""


class ExponentFindings(Spec):
    """How fast the loss and the optimum settle as models grow (arXiv 2512.22768)."""

    loss: Interval
    """α: the loss gap shrinks as n^−α. No value where the loss does not fall at every step."""
    optimum: Interval
    """β: the optimum gap shrinks as n^−β."""
    lead: Interval
    """β − α/2."""
    fast: bool | None
    """Whether transfer is fast, β > α/2; None if the interval of the lead holds zero."""


class ParameterizationFindings(Spec):
    """One parameterization; dictionaries go by shape."""

    drift_octaves: Interval
    """log2 of the optimum at the last shape less that at the first."""
    drift_per_doubling: Interval
    """Slope of log2 of the optimum over log2 of the coordinate."""
    log2_optimum: dict[str, Interval]
    """log2 of the optimal hyperparameter."""
    optimum: dict[str, float | None]
    """The optimal hyperparameter; None if every value diverged."""
    optimum_at_edge_of_grid: dict[str, bool]
    """Whether the lowest loss is at an end of the grid, so that the optimum may lie outside."""
    loss_at_optimum: dict[str, Interval]
    """Validation loss at the optimum, nats a token."""
    regret: dict[str, Interval]
    """Loss at the first shape's optimum less the loss at the shape's own, nats a token."""
    curves: dict[str, tuple[CurvePoint, ...]]
    """What was measured."""
    drift_equivalence: Equivalence | None = None
    """Whether drift_per_doubling is zero within 0.25 octaves."""
    regret_equivalence: dict[str, Equivalence] | None = None
    """Whether the regret is zero within 0.005 nats."""
    slope: Interval | None = None
    """Slope of log2 of the optimum over log2 of s(r) = (1 + √r)/2; repeat factor only."""
    rule_slopes: dict[str, float] | None = None
    """The slope that each K/V rule predicts; only where a K/V learning rate is tried."""
    power: Interval | None = None
    """p, where the optimum falls as tokens^−p: minus drift_per_doubling. Along tokens only."""
    exponents: ExponentFindings | None = None
    """Width and depth only, with three shapes or more, evenly spaced in their logarithm."""


class PairFindings(Spec):
    """Two parameterizations, seed by seed; dictionaries go by shape."""

    one: str
    other: str
    loss_difference: dict[str, Interval]
    """Loss of one at its optimum less that of the other at its own, nats a token."""
    log2_optimum_difference: dict[str, Interval]
    """log2 of the optimum of one less that of the other."""


class EvidenceReport(Report):
    """Does the optimal base hyperparameter stay put along an axis?"""

    evidence: str
    """Its name."""
    axis: AnyAxis
    hyperparameter: str
    """The base hyperparameter that was tried."""
    spec: EvidenceSpec
    """What was run."""
    n_seeds: int = Field(default_factory=lambda seen: int(seen["spec"].seeds))
    """Seeds that the intervals are over."""
    intervals: Literal["bootstrap", "t"] = "bootstrap"
    """t: 95 % t-intervals over seeds, paired; bootstrap: in reports written before those, where
    drift and regret had no sign."""
    parameterizations: dict[str, ParameterizationFindings]
    """By label."""
    paired: tuple[PairFindings, ...]
    """Every two of them."""


def evidence_report(
    spec: EvidenceSpec,
    losses: dict[str, Array],
    found: dict[str, Finding],
    compared: Sequence[Comparison],
) -> EvidenceReport:
    """The findings, with the curves they rest on; losses are (shapes, seeds, values)."""
    rules = {p.label: p for p in spec.parameterizations}
    return EvidenceReport(
        evidence=spec.name,
        axis=spec.axis,
        hyperparameter=spec.hyperparameter,
        spec=spec,
        intervals="t",
        parameterizations={
            label: _findings(spec, rules[label], losses[label], finding)
            for label, finding in found.items()
        },
        paired=tuple(
            PairFindings(
                one=c.one,
                other=c.other,
                loss_difference=_intervals(spec, c.loss_difference),
                log2_optimum_difference=_intervals(spec, c.optimum_difference),
            )
            for c in compared
        ),
    )


def shape_names(spec: EvidenceSpec) -> list[str]:
    """What the places on the axis are called: width 64, repeat 4, tokens 76800."""
    return [f"{spec.axis} {place.coordinate}" for place in spec.places()]


def _findings(
    spec: EvidenceSpec, rules: Parameterization, losses_CxSxP: Array, finding: Finding
) -> ParameterizationFindings:
    at_edge = [optimum.at_edge for optimum in finding.optima]
    drift = finding.drift_per_doubling
    return ParameterizationFindings(
        drift_octaves=finding.drift.interval,
        drift_per_doubling=drift.interval,
        log2_optimum=_intervals(spec, finding.x_at_optimum),
        optimum=_by_shape(spec, [_finite(2**optimum.x) for optimum in finding.optima]),
        optimum_at_edge_of_grid=_by_shape(spec, at_edge),
        loss_at_optimum=_intervals(spec, finding.loss_at_optimum),
        regret=_intervals(spec, finding.regret),
        curves=_by_shape(spec, [_curve(spec, losses_SxP) for losses_SxP in losses_CxSxP]),
        # Of an optimum beyond the grid it is only known in which direction it lies.
        drift_equivalence=None if any(at_edge) else drift.equivalence(DRIFT_MARGIN),
        regret_equivalence=_by_shape(
            spec, [regret.equivalence(REGRET_MARGIN) for regret in finding.regret]
        ),
        slope=finding.slope and finding.slope.interval,
        rule_slopes=rule_slopes(spec, rules),
        power=_negative(drift).interval if spec.axis == "tokens" else None,
        exponents=finding.exponents and _exponents(finding.exponents),
    )


def _exponents(found: Exponents) -> ExponentFindings:
    lead = found.lead.interval
    undecided = lead.low is None or lead.high is None or lead.low <= 0 <= lead.high
    return ExponentFindings(
        loss=found.loss.interval,
        optimum=found.optimum.interval,
        lead=lead,
        fast=None if undecided else found.lead.value > 0,
    )


def _curve(spec: EvidenceSpec, losses_SxP: Array) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(value=2**x, loss=tuple(_finite(loss) for loss in loss_S))
        for x, loss_S in zip(spec.grid.log2_values(), losses_SxP.T.tolist(), strict=True)
    )


def _intervals(spec: EvidenceSpec, figures: Sequence[Figure]) -> dict[str, Interval]:
    return _by_shape(spec, [figure.interval for figure in figures])


def _by_shape(spec: EvidenceSpec, values: Sequence[T]) -> dict[str, T]:
    return dict(zip(shape_names(spec), values, strict=True))


def _negative(figure: Figure) -> Figure:
    return replace(figure, value=-figure.value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
