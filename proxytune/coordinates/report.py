"""The result of a coordinate check: every slope beside the expected one, and the verdicts."""

import math
from collections.abc import Sequence
from typing import Literal

from proxytune.config.axis import AxisName
from proxytune.config.base import Report, Spec
from proxytune.config.coordinates import CoordinateSpec
from proxytune.config.shape import Shape
from proxytune.coordinates.measure import Measurement
from proxytune.coordinates.sizes import Quantity
from proxytune.coordinates.theory import expected_slope, fit_slope, mean_size

TOLERANCE = 0.15
"""How far a slope may be from the expected one."""


class Slope(Spec):
    """How a size goes with the axis, log against log."""

    slope: float | None
    """None where a size has no logarithm."""
    expected: float
    """The slope that the theory gives."""
    ok: bool
    """Whether it is what the theory expects; a size that is no number is not."""


Slopes = dict[str, dict[str, dict[Quantity, Slope]]]
"""Parameterization -> role -> quantity -> slope."""
Verdict = Literal["pass", "fail"]


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
        )

    @property
    def passed(self) -> bool:
        """Whether the first parameterization passed; the others are there to compare with."""
        return self.verdict[self.spec.parameterizations[0].label] == "pass"


def _verdict(roles: dict[str, dict[Quantity, Slope]]) -> Verdict:
    good = all(slope.ok for quantities in roles.values() for slope in quantities.values())
    return "pass" if good else "fail"


def _slopes(spec: CoordinateSpec, measured: Sequence[Measurement]) -> Slopes:
    """The slope of every size, of its geometric mean over seeds, beside the expected one."""
    sizes: dict[tuple[str, str, Quantity], dict[int, list[float]]] = {}
    for m in measured:
        of_key = sizes.setdefault((m.parameterization, m.role, m.quantity), {})
        of_key.setdefault(m.coordinate, []).append(m.size)
    by_label = {p.label: p for p in spec.parameterizations}
    found: Slopes = {}
    for (label, role, quantity), at in sizes.items():
        means = [mean_size(values) for values in at.values()]
        slope = fit_slope(list(at), means)
        expected = expected_slope(
            role, quantity, spec.axis, spec.shapes(), spec.base, by_label[label]
        )
        found.setdefault(label, {}).setdefault(role, {})[quantity] = Slope(
            slope=slope if math.isfinite(slope) else None,
            expected=expected,
            ok=abs(slope - expected) <= TOLERANCE,
        )
    return found
