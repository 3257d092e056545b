"""A study's figures. Optuna draws what it can; what it does not know of is in `chosen`."""

import heapq
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna import visualization
from plotly.graph_objects import Figure, Scatter

from proxytune.config.search import SpaceEntry
from proxytune.config.study import StudySpec
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.reports.chosen import draw_losses
from proxytune.reports.style import CHOSEN, LOSS, QUIET, styled
from proxytune.reports.trials import drawn_study, number_of

DRAWN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED)
"""States of trials of which there is something to draw."""
MOST, MOST_IN_CONTOUR = 300, 100
"""Trials in figures that have a line for each, and in the contour, whose data grow as its square.
Of more, those of the lowest loss are drawn."""
FEWEST = 4
"""Trials from which Optuna can tell which hyperparameters matter."""


def study_figures(
    spec: StudySpec, trials: Sequence[TrialRecord], selection: Selection | None
) -> dict[str, Figure]:
    """Its figures by name; one that nothing can be drawn of yet is left out.

    losses: loss against each searched hyperparameter, with the chosen point. history, slices,
    contour (of the two hyperparameters that matter most), importance, parallel, curves: Optuna's.
    """
    space = spec.search.space
    study, best = drawn_study(space, trials), drawn_study(space, _lowest(trials, MOST))
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    figures: dict[str, Figure] = {}
    with warnings.catch_warnings():
        # Optuna marks some of its figures as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if any(trial.state in DRAWN for trial in trials):
            figures["losses"] = draw_losses(space, trials, selection)
        if complete:
            figures["history"] = visualization.plot_optimization_history(study, target_name=LOSS)
            figures["slices"] = _slices(best, space)
        if len(complete) >= FEWEST and len(space) > 1:
            few = drawn_study(space, _lowest(trials, MOST_IN_CONTOUR))
            figures["contour"] = _contour(few, _most_important(study), selection)
            figures["importance"] = _importance(study)
            figures["parallel"] = _parallel(best, space)
        if any(trial.intermediate_values for trial in best.get_trials(deepcopy=False)):
            figures["curves"] = _curves(best, selection)
    return {name: styled(figure) for name, figure in figures.items()}


def _slices(study: optuna.Study, space: Mapping[str, SpaceEntry]) -> Figure:
    figure = visualization.plot_slice(study, params=list(space), target_name=LOSS)
    return figure.update_layout(width=None)


def _lowest(trials: Sequence[TrialRecord], most: int) -> list[TrialRecord]:
    """Those of the lowest loss, in their order."""
    with_value = [trial for trial in trials if trial.value is not None]
    kept = heapq.nsmallest(most, with_value, key=lambda trial: trial.value or 0.0)
    return sorted(kept, key=lambda trial: trial.number)


def _most_important(study: optuna.Study) -> tuple[str, str]:
    """The two hyperparameters that matter most, in the order in which Optuna draws them."""
    importance = optuna.importance.get_param_importances(study)
    first, second = sorted(importance, key=lambda name: -importance[name])[:2]
    return min(first, second), max(first, second)


def _importance(study: optuna.Study) -> Figure:
    return visualization.plot_param_importances(study, target_name=LOSS)


def _parallel(study: optuna.Study, space: Mapping[str, SpaceEntry]) -> Figure:
    names = list(space)
    return visualization.plot_parallel_coordinate(study, params=names, target_name=LOSS)


def _contour(study: optuna.Study, names: tuple[str, str], selection: Selection | None) -> Figure:
    """How two hyperparameters act together, with a star at the chosen point."""
    figure = visualization.plot_contour(study, params=list(names), target_name=LOSS)
    if selection is not None:
        _mark(figure, selection, *names)
    return figure


def _mark(contour: Figure, selection: Selection, x: str, y: str) -> None:
    """Puts a star at the chosen point. All axes are numbers, those of choices, too."""
    contour.add_trace(
        Scatter(
            x=[getattr(selection.point, x)],
            y=[getattr(selection.point, y)],
            mode="markers",
            marker={"symbol": "star", "size": 16, "color": CHOSEN, "line": {"width": 1}},
            name=f"chosen: {selection.best.name}",
            showlegend=False,
        )
    )


def _curves(study: optuna.Study, selection: Selection | None) -> Figure:
    """Learning curves; that of the chosen trial stands out."""
    figure = visualization.plot_intermediate_values(study)
    drawn = [t for t in study.get_trials(deepcopy=False) if t.intermediate_values]
    chosen = None if selection is None else selection.trial
    for trace, trial in zip(figure.data, drawn, strict=True):
        is_chosen = number_of(trial) == chosen
        trace.update(
            name=f"trial {number_of(trial)}" + (" (chosen)" if is_chosen else ""),
            line={"color": CHOSEN if is_chosen else QUIET, "width": 3 if is_chosen else 1},
            mode="lines",
            opacity=1.0 if is_chosen else 0.5,
            zorder=1 if is_chosen else 0,
        )
    return figure.update_layout(xaxis_title="step", yaxis_title=LOSS)
