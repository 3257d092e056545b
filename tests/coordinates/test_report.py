"""Slopes are judged by their intervals over seeds, and a check that is blind does not pass."""

import math

import pytest

from proxytune.config.coordinates import CoordinateSpec, coordinate_spec
from proxytune.coordinates.measure import Measurement, control_label
from proxytune.coordinates.report import CoordinateReport
from proxytune.coordinates.sizes import Quantity
from proxytune.errors import InputError
from proxytune.scaling.rules import Role

SEEDS = 6


def spec_of() -> CoordinateSpec:
    return coordinate_spec(
        {"axis": "width", "parameterizations": ["gqa-mup"], "seeds": SEEDS, "values": [1, 4]}
    )


def sizes(label: str, slope: float, spread: float) -> list[Measurement]:
    """Relative updates of K/V along width with these slopes, evenly spread over seeds."""
    row = (Role.KV, Quantity.RELATIVE_UPDATE_SPECTRAL)
    of_seeds = [slope + spread * (seed - (SEEDS - 1) / 2) for seed in range(SEEDS)]
    return [
        Measurement(label, width, seed, *row, (width / 64) ** of_seed)
        for seed, of_seed in enumerate(of_seeds)
        for width in (64, 256)
    ]


@pytest.mark.parametrize(
    ("slope", "spread", "verdict"),
    [
        (0.10, 0.01, "same"),
        (-0.10, 0.01, "same"),
        (0.10, 0.05, "undecided"),  # within the tolerance, but its interval is not
        (0.20, 0.05, "undecided"),
        (0.20, 0.01, "different"),
        (-0.20, 0.01, "different"),
    ],
)
def test_a_slope_is_judged_by_its_interval(slope: float, spread: float, verdict: str) -> None:
    report = CoordinateReport.of(spec_of(), sizes("gqa-mup", slope, spread))
    found = report.slopes["gqa-mup"][Role.KV][Quantity.RELATIVE_UPDATE_SPECTRAL]
    assert (found.slope, found.verdict) == (pytest.approx(slope), verdict)
    assert found.ok == (verdict == "same")
    reach = 2.571 * spread * math.sqrt(3.5 / SEEDS)  # Student's t, 5 degrees of freedom
    assert (found.low, found.high) == pytest.approx((slope - reach, slope + reach), abs=1e-3)


@pytest.mark.parametrize(("slope", "caught"), [(1.0, True), (0.1, False)])
def test_a_check_whose_control_is_not_found_does_not_pass(slope: float, caught: bool) -> None:
    good = sizes("gqa-mup", 0, 0.01)
    report = CoordinateReport.of(spec_of(), good + sizes(control_label("gqa-mup"), slope, 0.01))
    assert report.verdict == {"gqa-mup": "pass"}
    assert report.control is not None
    assert (report.control.caught, report.passed) == (caught, caught)
    assert CoordinateReport.of(spec_of(), good).control is None


def test_a_late_check_outlasts_the_memory_of_decay() -> None:
    """1/(ηλ) = 62.5 steps at the defaults."""
    assert coordinate_spec({"axis": "width", "late": True}).steps == 150
    with pytest.raises(InputError, match=r"steps = 62: must be at least .* = 63"):
        coordinate_spec({"axis": "width", "late": True, "steps": 62})
    none = {"weight_decay": 0}
    with pytest.raises(InputError, match=r"late = True: needs hyperparameters.weight_decay"):
        coordinate_spec({"axis": "width", "late": True, "hyperparameters": none})


def test_a_check_is_of_shapes_not_of_the_length_of_training() -> None:
    with pytest.raises(InputError, match="axis = 'tokens': should be 'width', 'depth' or"):
        coordinate_spec({"axis": "tokens"})


def test_one_seed_gives_no_interval_and_is_refused() -> None:
    with pytest.raises(InputError, match="seeds = 1"):
        coordinate_spec({"axis": "width", "seeds": 1})
