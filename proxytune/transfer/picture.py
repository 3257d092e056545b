"""A transfer in one picture: where the optimum was found, and whether it held."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from proxytune.config.shape import Shape
from proxytune.packs.selection import Candidate, Selection
from proxytune.transfer.check import CheckRun, Run
from proxytune.transfer.verdict import Verdict

PROXY, TARGET, QUIET = "#3b6fb6", "#c8553d", "#9aa5b1"


def draw(
    path: Path,
    trials: Sequence[Candidate],
    selection: Selection,
    run: CheckRun,
    verdict: Verdict,
) -> None:
    """Draws the study's trials on the left, the check run on the right, as a PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    search, check = figure.subplots(1, 2)
    _draw_trials(search, trials, selection)
    _draw_check(check, run, verdict)
    figure.savefig(path, dpi=130, format="png")


def _draw_trials(axes: Axes, trials: Sequence[Candidate], selection: Selection) -> None:
    rates = [trial.hyperparameters.learning_rate for trial in trials]
    losses = [math.nan if trial.value is None else trial.value for trial in trials]
    axes.scatter(rates, losses, s=18, color=QUIET, label="trial")
    best = selection.best
    axes.errorbar(
        best.hyperparameters.learning_rate,
        best.mean,
        yerr=best.standard_error,
        fmt="o",
        color=PROXY,
        label=f"chosen: {best.name}, on fresh seeds",
    )
    axes.set_xscale("log")
    _few_ticks(axes.xaxis)
    axes.set(
        xlabel="base learning rate",
        ylabel="validation loss (nats/token)",
        title=f"{len(trials)} proxies",
    )
    axes.legend(frameon=False)


def _few_ticks(axis: Axis) -> None:
    """Labels on a log axis that do not overlap, also where it spans less than a decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_check(axes: Axes, run: CheckRun, verdict: Verdict) -> None:
    for name, side, color in (("proxy", run.proxy, PROXY), ("target", run.target, TARGET)):
        label = f"{name}: {_in_words(side.shape)}"
        _draw_losses(axes, side, marker="o", markersize=4, color=color, label=label)
    for factor, style in ((0.5, ":"), (2.0, "--")):
        side_by = (run.bracket or {}).get(factor)
        if side_by is not None:
            label = f"target at {factor:g} times the rate"
            _draw_losses(axes, side_by, linestyle=style, color=TARGET, label=label)
    axes.axvspan(0, run.warmup_steps, color=QUIET, alpha=0.2, linewidth=0)
    axes.set(
        xlim=(0, None),
        xlabel="step (shaded: warm-up)",
        ylabel="validation loss (nats/token)",
        title=f"check at the same base hyperparameters: {verdict.word}",
    )
    axes.legend(frameon=False)


def _draw_losses(axes: Axes, side: Run, **style: Any) -> None:
    losses = {e.step: e.validation_loss for e in side.evaluations if e.validation_loss}
    axes.plot(list(losses.keys()), list(losses.values()), **style)


def _in_words(shape: Shape) -> str:
    return f"width {shape.d_model}, depth {shape.n_layers}, repeat {shape.repeat}"
