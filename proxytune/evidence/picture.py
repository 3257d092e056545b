"""The curves of an evidence run as a picture.

Shapes, as suffixes of names: C shapes (by coordinate), S seeds, P points of the grid.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from proxytune.config.evidence import EvidenceSpec
from proxytune.evidence.findings import Finding
from proxytune.evidence.report import shape_names
from proxytune.intervals import Array

MOST_TICKS = 5
"""Numbers on the axis of the hyperparameter."""


def draw(
    path: Path, spec: EvidenceSpec, losses: Mapping[str, Array], found: Mapping[str, Finding]
) -> None:
    """Mean loss against the hyperparameter, one plot per parameterization, as a PNG."""
    figure = Figure(figsize=(4.6 * len(found) + 1.2, 4.5), layout="constrained")
    plots = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (label, finding) in zip(plots, found.items(), strict=True):
        _draw_curves(axes, spec, losses[label], finding)
        axes.set_title(f"{label}\n{_moves(finding)}", fontsize=10)
        axes.set_xlabel(f"base {spec.hyperparameter.replace('_', ' ')}")
    plots[0].set_ylabel("validation loss (nats/token)")
    _zoom(plots[0], found)
    plots[-1].legend(frameon=False, fontsize=9)
    seeds = f"mean of {spec.seeds} seeds" if spec.seeds > 1 else "one seed"
    legend = [
        "★ lowest point of the fitted curve",
        f"line: {seeds}",
        "band: ± one standard error",
        *(["×: a seed diverged"] if _has_diverged(losses) else []),
    ]
    figure.supxlabel("     ".join(legend), fontsize=8)
    figure.savefig(path, dpi=130, format="png")


def _draw_curves(axes: Axes, spec: EvidenceSpec, losses_CxSxP: Array, finding: Finding) -> None:
    values_P = np.exp2(spec.grid.log2_values())
    colors = colormaps["viridis"](np.linspace(0.1, 0.85, len(losses_CxSxP)))
    for name, color, loss_SxP, best in zip(
        shape_names(spec), colors, losses_CxSxP, finding.optima, strict=True
    ):
        # A point at which a seed diverged has no mean: a cross at the top.
        trained_P = np.isfinite(loss_SxP).all(axis=0)
        loss_SxP = np.where(trained_P, loss_SxP, np.nan)
        _draw_diverged(axes, values_P[~trained_P], color)
        mean_P = loss_SxP.mean(axis=0)
        axes.plot(values_P, mean_P, marker=".", markersize=4, color=color, label=name)
        if len(loss_SxP) > 1:
            error_P = loss_SxP.std(axis=0, ddof=1) / np.sqrt(len(loss_SxP))
            axes.fill_between(
                values_P, mean_P - error_P, mean_P + error_P, color=color, alpha=0.15, linewidth=0
            )
        axes.plot(2**best.x, best.loss, marker="*", markersize=13, color=color)
    axes.set_xscale("log", base=2)
    ticks = values_P[:: -(-len(values_P) // MOST_TICKS)]
    axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _has_diverged(losses: Mapping[str, Array]) -> bool:
    return any(not np.isfinite(losses_CxSxP).all() for losses_CxSxP in losses.values())


def _draw_diverged(axes: Axes, values_P: Array, color: Any) -> None:
    top = axes.get_xaxis_transform()
    axes.plot(values_P, np.full(len(values_P), 0.97), "x", color=color, transform=top)


def _zoom(axes: Axes, found: Mapping[str, Finding]) -> None:
    """Shows what is near the optima; what is far above is cut off."""
    optima = [best.loss for finding in found.values() for best in finding.optima]
    finite = [loss for loss in optima if np.isfinite(loss)]
    if finite:
        spread = max(finite) - min(finite) + 0.2
        axes.set_ylim(top=min(axes.get_ylim()[1], max(finite) + 0.75 * spread))


def _moves(finding: Finding) -> str:
    drift = finding.drift.interval
    if drift.value is None:
        return "no optimum: training diverged"
    if drift.low is None:
        return f"optimum moves {drift.value:+.2f} octaves"
    return f"optimum moves {drift.value:+.2f} [{drift.low:+.2f}, {drift.high:+.2f}] octaves"
