"""Evidence as a document, and as the picture of its curves."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxytune.config.axis import coordinate
from proxytune.config.evidence import EvidenceSpec
from proxytune.evidence.curve import Array
from proxytune.evidence.findings import Comparison, Estimate, Finding

ROOM = 0.25
"""Of the losses' range near the optima, what a plot shows above it; the rest is cut off."""


def evidence_document(
    spec: EvidenceSpec,
    losses: dict[str, Array],
    found: dict[str, Finding],
    compared: list[Comparison],
) -> dict[str, Any]:
    """The findings, with the curves they rest on; losses are (shapes, seeds, values)."""
    names = shape_names(spec)
    return {
        "evidence": spec.name,
        "axis": spec.axis,
        "hyperparameter": spec.hyperparameter,
        "spec": spec.model_dump(mode="json"),
        "parameterizations": {
            label: {
                "drift_octaves": asdict(finding.drift_octaves),
                "drift_per_doubling": asdict(finding.drift_per_doubling),
                "log2_optimum": _by_shape(names, finding.x_at_optimum),
                "optimum": {n: 2**o.x for n, o in zip(names, finding.optima, strict=True)},
                "optimum_at_edge_of_grid": {
                    n: o.at_edge for n, o in zip(names, finding.optima, strict=True)
                },
                "loss_at_optimum": _by_shape(names, finding.loss_at_optimum),
                "regret": _by_shape(names, finding.regret),
                "curves": {
                    name: [
                        {
                            "value": 2**x,
                            "loss": [v if math.isfinite(v) else None for v in of_seeds],
                        }
                        for x, of_seeds in zip(
                            spec.grid.log2_values(), losses[label][i].T.tolist(), strict=True
                        )
                    ]
                    for i, name in enumerate(names)
                },
            }
            for label, finding in found.items()
        },
        "paired": [
            {
                "one": c.one,
                "other": c.other,
                "loss_difference": _by_shape(names, c.loss_difference),
                "log2_optimum_difference": _by_shape(names, c.optimum_difference),
            }
            for c in compared
        ],
    }


def shape_names(spec: EvidenceSpec) -> list[str]:
    """What the shapes are called: width 64, repeat 4."""
    return [f"{spec.axis} {coordinate(spec.axis, shape)}" for shape in spec.shapes()]


def draw(
    path: Path, spec: EvidenceSpec, losses: dict[str, Array], found: dict[str, Finding]
) -> None:
    """Mean loss against the hyperparameter, a plot a parameterization, minima marked; as a PNG."""
    figure = Figure(figsize=(4.6 * len(found) + 1.2, 4.2), layout="constrained")
    plots = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (label, finding) in zip(plots, found.items(), strict=True):
        _draw_curves(axes, spec, losses[label], finding)
        drift = finding.drift_octaves
        axes.set(
            title=f"{label}: moves {drift.value:.2f} octaves",
            xlabel=f"base {spec.hyperparameter.replace('_', ' ')}",
        )
    plots[0].set_ylabel("validation loss (nats/token)")
    optima = [optimum.loss for finding in found.values() for optimum in finding.optima]
    spread = max(optima) - min(optima) + 0.2
    plots[0].set_ylim(min(optima) - 0.1 * spread, max(optima) + spread * (ROOM + 0.5))
    plots[-1].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)


def _draw_curves(axes: Axes, spec: EvidenceSpec, losses_CxSxP: Array, finding: Finding) -> None:
    values = np.exp2(spec.grid.log2_values())
    colors = colormaps["viridis"](np.linspace(0.1, 0.85, len(losses_CxSxP)))
    for name, color, loss_SxP, best in zip(
        shape_names(spec), colors, losses_CxSxP, finding.optima, strict=True
    ):
        mean_P = np.where(np.isfinite(loss_SxP.mean(axis=0)), loss_SxP.mean(axis=0), np.nan)
        axes.plot(values, mean_P, marker=".", markersize=4, color=color, label=name)
        axes.plot(2**best.x, best.loss, marker="*", markersize=13, color=color)
    axes.set_xscale("log", base=2)


def _by_shape(names: list[str], estimates: tuple[Estimate, ...]) -> dict[str, dict[str, float]]:
    return {name: asdict(estimate) for name, estimate in zip(names, estimates, strict=True)}
