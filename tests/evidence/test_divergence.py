"""Divergence is a result: wherever it strikes, there is a report, a table and a picture."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from proxytune.config.axis import coordinate
from proxytune.config.evidence import EvidenceSpec
from proxytune.config.load import validate
from proxytune.evidence.findings import findings
from proxytune.evidence.picture import draw
from proxytune.evidence.report import EvidenceReport, evidence_report
from proxytune.intervals import Array

SHARES = (0.4, 1.0)


def spec(axis: str, seeds: int) -> EvidenceSpec:
    return validate(
        EvidenceSpec,
        {
            "name": "diverging",
            "proxy": {"d_model": 16, "n_layers": 1, "n_heads": 4, "seq_len": 16},
            "axis": axis,
            "values": [1, 2, 4],
            "seeds": seeds,
            "grid": {"low": 0.01, "high": 1, "points": 5},
        },
        "test",
    )


def diverging(spec: EvidenceSpec, share: float, seed: int) -> dict[str, Array]:
    """Losses of which this share is infinite, at random; of one shape, sometimes all."""
    rng = np.random.default_rng(seed)
    losses = {}
    for rules in spec.parameterizations:
        losses_CxSxP = rng.normal(2.0, 0.3, (3, spec.seeds, 5))
        losses_CxSxP[rng.random(losses_CxSxP.shape) < share] = np.inf
        if rng.random() < 0.2:
            losses_CxSxP[rng.integers(3)] = np.inf
        losses[rules.label] = losses_CxSxP
    return losses


def reported(spec: EvidenceSpec, losses: dict[str, Array], picture: Path) -> EvidenceReport:
    x_P = np.array(spec.grid.log2_values())
    coordinates = [coordinate(spec.axis, shape) for shape in spec.shapes()]
    found, compared = findings(spec.axis, x_P, coordinates, losses)
    draw(picture, spec, losses, found)
    return evidence_report(spec, losses, found, compared)


@pytest.mark.parametrize("axis", ["width", "repeat"])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_wherever_training_diverges_there_is_a_report_and_no_warning(
    axis: str, seeds: int, tmp_path: Path
) -> None:
    of_axis = spec(axis, seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed, share in enumerate(SHARES):
            report = reported(of_axis, diverging(of_axis, share, seed), tmp_path / "curves.png")
            # Plain data of finite numbers: a report refuses others.
            assert EvidenceReport.model_validate(report.document()) == report


def test_what_diverged_everywhere_has_no_optimum_and_no_figure(tmp_path: Path) -> None:
    of_axis = spec("width", 2)
    report = reported(of_axis, diverging(of_axis, 1.0, 0), tmp_path / "curves.png")
    for finding in report.parameterizations.values():
        assert set(finding.optimum.values()) == {None}
        assert finding.drift_octaves.value is None
        assert {i.value for i in finding.regret.values()} == {None}
