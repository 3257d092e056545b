"""Two studies in one picture: what they cost and found, and where."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxytune.comparison.report import Compared, ComparisonReport

COLORS = ("#3b6fb6", "#c8553d")


def draw(path: Path, report: ComparisonReport, sides: Sequence[Compared]) -> None:
    """The best loss against FLOPs, and every trial against the first hyperparameter of both."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    history, trials = figure.subplots(1, 2)
    _draw_history(history, report)
    _draw_trials(trials, sides)
    figure.savefig(path, dpi=130, format="png")


def _draw_history(axes: Axes, report: ComparisonReport) -> None:
    for study, color in zip(report.studies, COLORS, strict=True):
        flops = [so_far.flops for so_far in study.history]
        losses = [so_far.loss for so_far in study.history]
        axes.step(flops, losses, where="post", color=color, marker=".", label=study.study)
    axes.set_xscale("log")
    axes.set(xlabel="FLOPs of the search", ylabel="lowest validation loss (nats/token)")
    axes.legend(frameon=False)


def _draw_trials(axes: Axes, sides: Sequence[Compared]) -> None:
    ours, theirs = (side.report.spec.search.space for side in sides)
    name = next((name for name in ours if name in theirs), None)
    if name is None:
        axes.text(0.5, 0.5, "no hyperparameter in common", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    for side, color in zip(sides, COLORS, strict=True):
        known = [(trial.params[name], trial.value) for trial in side.trials]
        at = [value for value, loss in known if loss is not None]
        losses = [loss for _, loss in known if loss is not None]
        axes.scatter(at, losses, s=18, color=color, alpha=0.6)
        selection = side.report.selection
        if selection is not None:
            best = getattr(selection.point, name)
            axes.axvline(best, color=color, linewidth=1, linestyle="--")
            axes.plot(best, selection.validation_loss, "*", markersize=13, color=color)
    if getattr(ours[name], "log", False):
        axes.set_xscale("log")
    axes.set(
        xlabel=f"base {name.replace('_', ' ')}",
        ylabel="validation loss (nats/token)",
        title="★ chosen, on fresh seeds",
    )
