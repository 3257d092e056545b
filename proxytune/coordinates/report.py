"""The result of a coordinate check: every slope beside the expected one, and the verdicts."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from proxytune.config.axis import AxisName
from proxytune.config.base import Report, Spec
from proxytune.config.coordinates import CoordinateSpec
from proxytune.config.shape import Shape
from proxytune.coordinates.measure import Measurement, control_label
from proxytune.coordinates.sizes import Quantity
from proxytune.coordinates.theory import Expected, expected_slope, fit_slope
from proxytune.intervals import Figure, paired
from proxytune.intervals import Verdict as Equivalence
from proxytune.scaling.rules import Role

TOLERANCE = 0.15
"""How far a slope may be from the expected one."""


Fault = Literal["zero", "not finite"]


class Slope(Spec):
    """How a size goes with the axis, log against log: the mean over seeds."""

    slope: float | None
    """None where a size has no logarithm."""
    low: float | None
    """Lower end of the 95 % t-interval over seeds."""
    high: float | None
    """Its upper end."""
    expected: float
    """The slope that the theory gives."""
    expected_low: float
    """Where the size is a sum of parts that scale differently, the lowest slope of a part."""
    expected_high: float
    """The highest slope of a part."""
    verdict: Equivalence
    """same: within the tolerance of what is expected, by two one-sided t-tests at 5 %; different:
    the interval is outside; undecided: neither, so more seeds are needed."""
    ok: bool
    """Whether the verdict is same."""
    fault: Fault | None = None
    """Why there is no slope: a size is zero, or not finite."""


Slopes = dict[str, dict[str, dict[Quantity, Slope]]]
"""Parameterization -> role -> quantity -> slope."""
Verdict = Literal["pass", "fail"]


class Control(Spec):
    """The same check with an error in it, which it must find: the K/V rate times the axis.

    The K/V learning rate of each shape is multiplied by its width, depth or repeat factor over
    that of the first. It is trained at the first two shapes.
    """

    role: Role = Role.KV
    """The role that is wrong."""
    quantity: Quantity = Quantity.RELATIVE_UPDATE_SPECTRAL
    """The size that must show it."""
    slope: Slope
    """How that size goes with the axis."""
    caught: bool
    """Whether the whole interval is outside the tolerance; if not, the check is blind."""


class CoordinateReport(Report):
    """What was checked and what was found."""

    axis: AxisName
    """width, depth or repeat."""
    spec: CoordinateSpec
    """The check."""
    shapes: tuple[Shape, ...]
    """The shapes that were trained, along the axis."""
    tolerance: float
    """How far a slope may be from the expected one."""
    slopes: Slopes
    """Parameterization -> role -> quantity -> slope."""
    verdict: dict[str, Verdict]
    """Parameterization -> pass if every slope is as expected."""
    control: Control | None
    """Of the first parameterization; None where K and V have no matrix of their own."""

    @classmethod
    def of(cls, spec: CoordinateSpec, measured: Sequence[Measurement]) -> "CoordinateReport":
        """The report on what was measured."""
        slopes = _slopes(spec, measured)
        return cls(
            axis=spec.axis,
            spec=spec,
            shapes=spec.shapes(),
            tolerance=TOLERANCE,
            slopes=slopes,
            verdict={label: _verdict(roles) for label, roles in slopes.items()},
            control=_control(spec, measured),
        )

    @property
    def passed(self) -> bool:
        """Whether the first parameterization passed, and its control did not.

        Other parameterizations are there to compare with.
        """
        caught = self.control is None or self.control.caught
        return self.verdict[self.spec.parameterizations[0].label] == "pass" and caught


def _verdict(roles: dict[str, dict[Quantity, Slope]]) -> Verdict:
    good = all(slope.ok for quantities in roles.values() for slope in quantities.values())
    return "pass" if good else "fail"


Sizes = dict[int, dict[int, float]]
"""Seed -> coordinate -> size."""


def _slopes(spec: CoordinateSpec, measured: Sequence[Measurement]) -> Slopes:
    """The slope of every size beside the expected one."""
    sizes = _by_row(measured)
    found: Slopes = {}
    for rules in spec.parameterizations:
        for (label, role, quantity), of_seeds in sizes.items():
            if label == rules.label:
                expected = expected_slope(
                    role, quantity, spec.axis, spec.shapes(), spec.base, rules
                )
                of_role = found.setdefault(label, {}).setdefault(role, {})
                of_role[quantity] = _slope(of_seeds, expected)
    return found


def _control(spec: CoordinateSpec, measured: Sequence[Measurement]) -> Control | None:
    rules, shapes = spec.parameterizations[0], spec.shapes()[:2]
    role, quantity = Role.KV, Quantity.RELATIVE_UPDATE_SPECTRAL
    of_seeds = _by_row(measured).get((control_label(rules.label), role, quantity))
    if of_seeds is None:
        return None
    expected = expected_slope(role, quantity, spec.axis, shapes, spec.base, rules)
    slope = _slope(of_seeds, expected)
    return Control(slope=slope, caught=slope.verdict == "different")


def _by_row(measured: Sequence[Measurement]) -> dict[tuple[str, str, Quantity], Sizes]:
    sizes: dict[tuple[str, str, Quantity], Sizes] = {}
    for m in measured:
        of_row = sizes.setdefault((m.parameterization, m.role, m.quantity), {})
        of_row.setdefault(m.seed, {})[m.coordinate] = m.size
    return sizes


def _slope(of_seeds: Sizes, expected: Expected) -> Slope:
    """Every seed gives a slope; their mean is held against what is expected."""
    figure = paired(np.array([fit_slope(list(at), list(at.values())) for at in of_seeds.values()]))
    interval = figure.interval
    middle, reach = (expected.low + expected.high) / 2, (expected.high - expected.low) / 2
    off = Figure(figure.value - middle, figure.error, figure.seeds)
    verdict = off.equivalence(TOLERANCE + reach).verdict
    fault = _fault([size for at in of_seeds.values() for size in at.values()])
    return Slope(
        slope=interval.value,
        low=interval.low,
        high=interval.high,
        expected=expected.slope,
        expected_low=expected.low,
        expected_high=expected.high,
        verdict=verdict,
        ok=verdict == "same",
        fault=fault,
    )


def _fault(sizes: Sequence[float]) -> Fault | None:
    if not all(math.isfinite(size) for size in sizes):
        return "not finite"
    return None if all(sizes) else "zero"
