"""A coordinate check as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxytune.config.coordinates import CoordinateSpec
from proxytune.coordinates.measure import Measurement
from proxytune.coordinates.sizes import Quantity
from proxytune.coordinates.theory import mean_size

DRAWN = (Quantity.ACTIVATION_CHANGE, Quantity.RELATIVE_UPDATE_SPECTRAL)
"""What the picture shows: a row of plots each."""


def draw(path: Path, spec: CoordinateSpec, measured: Sequence[Measurement]) -> None:
    """Sizes against the axis, log on log, a column of plots a parameterization; as a PNG."""
    labels = [p.label for p in spec.parameterizations]
    figure = Figure(figsize=(4.5 * len(labels) + 2, 7), layout="constrained")
    grid = figure.subplots(len(DRAWN), len(labels), sharex=True, sharey="row", squeeze=False)
    for row, quantity in zip(grid, DRAWN, strict=True):
        for axes, label in zip(row, labels, strict=True):
            of_plot = [
                m for m in measured if (m.parameterization, m.quantity) == (label, quantity)
            ]
            _draw_sizes(axes, of_plot)
        row[0].set_ylabel(quantity.replace("_", " "))
    for axes, label in zip(grid[0], labels, strict=True):
        axes.set_title(label)
    for axes in grid[-1]:
        axes.set_xlabel({"width": "d_model", "depth": "n_layers"}.get(spec.axis, "repeat factor"))
    for row in grid:
        row[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=130)


def _draw_sizes(axes: Axes, measured: Sequence[Measurement]) -> None:
    """A line a role: the geometric mean over seeds, and every seed as a dot."""
    for role in dict.fromkeys(m.role for m in measured):
        of_role = [m for m in measured if m.role == role]
        at = sorted({m.coordinate for m in of_role})
        means = [mean_size([m.size for m in of_role if m.coordinate == x]) for x in at]
        (line,) = axes.plot(at, means, linewidth=1.5, label=role)
        axes.plot(
            [m.coordinate for m in of_role],
            [m.size for m in of_role],
            linestyle="",
            marker=".",
            markersize=4,
            color=line.get_color(),
        )
    axes.set(xscale="log", yscale="log")
    ticks = sorted({m.coordinate for m in measured})
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.minorticks_off()
