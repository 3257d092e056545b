"""A coordinate check as a picture."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from proxytune.coordinates.measure import Measurement
from proxytune.coordinates.report import CoordinateReport
from proxytune.coordinates.sizes import Quantity

DRAWN = {
    Quantity.ACTIVATION_CHANGE: "Change of activations by training",
    Quantity.RELATIVE_UPDATE_SPECTRAL: "Relative update of weights (spectral norm)",
}
"""What the picture shows: a block of small plots each."""
COLUMNS = 5
STYLES = (
    ("#3b6fb6", "-", "o"),
    ("#c8553d", "--", "s"),
    ("#3a8f5c", ":", "^"),
    ("#8a5bb0", "-.", "D"),
    ("#b58a1b", "-", "v"),
    ("#5a5a5a", "--", "*"),
)
"""Colour, line and marker of the first parameterization, of the second, and so on."""
FEWEST = 3
"""Ticks on an axis of sizes."""
MANTISSAS = (
    (1,),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
)
"""Of ticks: the first of which there are enough is taken."""


def draw(path: Path, report: CoordinateReport, measured: Sequence[Measurement]) -> None:
    """Sizes against the axis, log on log: a small plot per role, a line per parameterization.

    Each size is over its own at the first shape. In each plot are the slopes, and whether they
    are as expected. Written as a PNG.
    """
    labels = [rules.label for rules in report.spec.parameterizations]
    drawn = {
        q: [m for m in measured if m.quantity is q and m.parameterization in labels] for q in DRAWN
    }
    blocks = {quantity: block for quantity, block in drawn.items() if block}
    rows = [math.ceil(len({m.role for m in block}) / COLUMNS) for block in blocks.values()]
    figure = Figure(figsize=(2.6 * COLUMNS, 2.2 * sum(rows) + 1.6), layout="constrained")
    parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=rows)[:, 0]
    for part, (quantity, block), count in zip(parts, blocks.items(), rows, strict=True):
        _draw_block(part, report, quantity, block, count)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
        title=f"dots: seeds     numbers: slope of log size over log {_name(report)}, "
        "✓ as expected, ✗ not",
        title_fontsize=9,
    )
    figure.savefig(path, dpi=130, format="png")


def _draw_block(
    part: SubFigure,
    report: CoordinateReport,
    quantity: Quantity,
    block: Sequence[Measurement],
    rows: int,
) -> None:
    """One quantity: all its plots have the same axes."""
    first = min(m.coordinate for m in block)
    name = _name(report)
    part.suptitle(f"{DRAWN[quantity]}, over that at {name} {first}", fontsize=11)
    grid = part.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    roles = list(dict.fromkeys(m.role for m in block))
    for axes, role in zip(grid.flat, roles, strict=False):
        _draw_role(axes, report, quantity, [m for m in block if m.role == role])
        axes.set_title(role.replace("_", " "), fontsize=9)
    for axes in grid.flat[len(roles) :]:
        axes.set_axis_off()
    # A column whose last plot is empty has its axis on the plot above it.
    for nth in range(max(len(roles) - COLUMNS, 0), len(roles)):
        axes = grid.flat[nth]
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(name, fontsize=9)
    _scale_sizes(grid[0][0])


def _name(report: CoordinateReport) -> str:
    """What varies."""
    return {"width": "d_model", "depth": "n_layers"}.get(report.axis, "repeat factor")


def _draw_role(
    axes: Axes, report: CoordinateReport, quantity: Quantity, of_role: Sequence[Measurement]
) -> None:
    """Lines are geometric means over seeds; dots are seeds. The grey line is no change."""
    at = sorted({m.coordinate for m in of_role})
    axes.axhline(1, color="0.8", linewidth=1)
    axes.set(xscale="log", yscale="log")
    for nth, rules in enumerate(report.spec.parameterizations):
        color, line, marker = STYLES[nth % len(STYLES)]
        own = [m for m in of_role if m.parameterization == rules.label]
        means = [_mean([m.size for m in own if m.coordinate == x]) for x in at]
        axes.plot(
            at,
            [mean / means[0] for mean in means],
            color=color,
            linestyle=line,
            marker=marker,
            markersize=5,
            label=rules.label,
        )
        dots = [m.size / means[0] for m in own]
        axes.plot([m.coordinate for m in own], dots, ".", markersize=2.5, color=color, alpha=0.6)
        if own:
            _write_slope(axes, report, rules.label, own[0].role, quantity, nth)
    axes.set_xticks(at, [str(x) for x in at])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8)


def _write_slope(
    axes: Axes, report: CoordinateReport, label: str, role: str, quantity: Quantity, nth: int
) -> None:
    """The slope in the plot's corner, with a mark: whether it is as expected."""
    slope = report.slopes[label][role][quantity]
    value = slope.fault if slope.slope is None else f"{slope.slope:+.2f}"
    axes.text(
        0.04,
        0.95 - 0.13 * nth,
        f"{value} {'✓' if slope.ok else '✗'}",
        transform=axes.transAxes,
        verticalalignment="top",
        fontsize=8,
        color=STYLES[nth % len(STYLES)][0],
    )


def _scale_sizes(axes: Axes) -> None:
    """Ticks at round sizes, with room above for the slopes."""
    low, high = axes.get_ylim()
    high *= (high / low) ** 0.25
    axes.set_ylim(low, high)
    axes.set_yticks(ticks(low, high))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def ticks(low: float, high: float) -> list[float]:
    """Round sizes in a range, at least three."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in MANTISSAS:
        rounded = [m * 10.0**decade for decade in decades for m in mantissas]
        inside = [tick for tick in rounded if low <= tick <= high]
        if len(inside) >= FEWEST:
            return inside
    return [tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]


def _mean(sizes: Sequence[float]) -> float:
    """The geometric mean over seeds; NaN if a size has no logarithm."""
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.nan
    return statistics.geometric_mean(sizes)
