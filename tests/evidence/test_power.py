"""A power is taken from an evidence run that can carry it, and refused from others."""

import math
from typing import Any

import numpy as np
import pytest

from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import validate
from proxytune.config.parameterization import Parameterization
from proxytune.errors import InputError
from proxytune.evidence.findings import findings
from proxytune.evidence.power import fitted_power
from proxytune.evidence.report import EvidenceReport, evidence_report
from tests.evidence.test_source import DOCUMENT

LENGTHS: dict[str, Any] = {
    "name": "lengths",
    "axis": "tokens",
    "values": [1, 4, 16],
    "parameterizations": ["gqa-mup"],
    "grid": {"low": 2**-9, "high": 2**-3, "points": 7},
    "seeds": 5,
}


def measured(power: float, noise: float = 0.05, **changes: object) -> EvidenceReport:
    """Bowls whose lowest point falls as tokens^−power, off by up to `noise` octaves by seed."""
    spec = validate(EvidenceSpec, DOCUMENT | LENGTHS | changes, "lengths.yaml")
    x_P, n_C = np.array(spec.grid.log2_values()), [place.coordinate for place in spec.places()]
    rng = np.random.default_rng(0)
    losses = np.array(
        [
            [
                0.05 * (x_P + 5 + power * math.log2(n / n_C[0]) - noise * rng.normal()) ** 2
                for _ in range(spec.seeds)
            ]
            for n in n_C
        ]
    )
    by_label = {p.label: losses for p in spec.parameterizations}
    return evidence_report(spec, by_label, *findings(spec.axis, x_P, n_C, by_label))


def test_the_power_is_how_fast_the_optimum_falls() -> None:
    found = fitted_power(measured(0.4), Parameterization())
    assert found.low < found.power < found.high
    assert found.power == pytest.approx(0.4, abs=0.03)
    assert found.evidence == "lengths"
    exact = fitted_power(measured(0.4, noise=0.0), Parameterization())
    assert exact.power == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"noise": 0.6}, r"p = .* wider than ±0.15"),
        ({"values": [1, 16]}, "3 or more"),
        ({"values": [1, 2, 4]}, "up to 16 times the first"),
        ({"parameterizations": ["sp"]}, "does not try gqa-mup"),
        ({"axis": "width"}, "is not along tokens"),
        ({"hyperparameter": "weight_decay"}, "is not along tokens, of the learning rate"),
        ({"seeds": 1}, "more seeds"),
        ({"power": 1.5}, "edge of its grid"),
    ],
)
def test_evidence_that_cannot_carry_a_power_is_refused(changes: dict[str, Any], says: str) -> None:
    report = measured(**{"power": 0.3} | changes)
    with pytest.raises(InputError, match=f"horizon.fitted = 'lengths': .*{says}"):
        fitted_power(report, Parameterization())


def test_only_lengths_have_a_power() -> None:
    assert measured(0.3, axis="width").parameterizations["gqa-mup"].power is None
