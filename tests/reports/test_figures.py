"""A study's figures: what they show, and what they do without."""

import pytest
from plotly.graph_objects import Figure

from proxytune.config.search import Range
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.reports.figures import study_figures
from tests.reports.examples import BETA, RATE, SPACES, THREE, selection, study, trial, trials

ALL = {"losses", "history", "slices", "contour", "importance", "parallel", "curves"}
SIMPLE = {"losses", "history", "slices", "curves"}


def shown(figure: Figure, label: str) -> dict[str, float]:
    """What is drawn in the first plot: its name -> its loss."""
    return {
        text: y
        for trace in figure.data
        if trace.name == label and trace.xaxis in (None, "x")
        for text, y in zip(trace.text, trace.y, strict=True)
    }


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("complete", [True, False])
def test_every_space_has_its_figures_with_a_selection_or_without(
    name: str, complete: bool
) -> None:
    of = study(SPACES[name])
    ran = trials(of)
    figures = study_figures(of, ran, selection(ran) if complete else None)
    assert figures.keys() == (ALL if len(SPACES[name]) > 1 else SIMPLE)
    for figure in figures.values():
        assert figure.to_json()


@pytest.mark.parametrize("state", TrialState)
def test_one_trial_is_enough(state: TrialState) -> None:
    of = study(THREE)
    figures = study_figures(of, [trial(of, 0, state)], None)
    expected = {
        TrialState.COMPLETE: SIMPLE,
        TrialState.PRUNED: {"losses", "curves"},
        TrialState.DIVERGED: {"losses"},
    }
    assert figures.keys() == expected.get(state, set())


def test_no_trial_is_no_figure() -> None:
    assert study_figures(study(THREE), [], None) == {}


def test_every_trial_is_drawn_in_its_state() -> None:
    of = study(THREE)
    ran = trials(of)
    losses = study_figures(of, ran, selection(ran))["losses"]
    complete = [t for t in ran if t.state is TrialState.COMPLETE]
    assert shown(losses, "trial") == {f"trial {t.number}": t.value for t in complete}
    assert list(shown(losses, "stopped early")) == ["trial 3"]
    assert list(shown(losses, "diverged")) == ["trial 2: diverged"]


def test_the_chosen_point_is_at_its_mean_on_fresh_seeds_within_its_noise() -> None:
    of = study(THREE)
    ran = trials(of)
    chosen = selection(ran)
    losses = study_figures(of, ran, chosen)["losses"]
    assert shown(losses, "chosen") == {chosen.best.name: chosen.validation_loss}
    assert list(shown(losses, "on fresh seeds")) == [chosen.candidates[1].name]
    error = chosen.standard_error
    assert error is not None
    bands = [(shape.y0, shape.y1) for shape in losses.layout.shapes if shape.xref == "x domain"]
    assert bands == [(chosen.validation_loss - error, chosen.validation_loss + error)]
    upright = [(shape.x0, shape.x1) for shape in losses.layout.shapes if shape.xref == "x"]
    assert upright == [chosen.interval["learning_rate"]]


def test_without_a_selection_the_lowest_loss_so_far_is_marked() -> None:
    of = study(THREE)
    ran = trials(of)
    losses = study_figures(of, ran, None)["losses"]
    lowest = min((t.value, t.number) for t in ran if t.value is not None)
    assert shown(losses, "lowest so far") == {f"trial {lowest[1]}": lowest[0]}


def test_the_learning_curve_of_the_chosen_trial_stands_out() -> None:
    of = study(THREE)
    ran = trials(of)
    chosen = selection(ran)
    curves = study_figures(of, ran, chosen)["curves"]
    wide = [trace.name for trace in curves.data if trace.line.width == 3]
    assert wide == [f"trial {chosen.trial} (chosen)"]


def test_the_chosen_point_is_marked_in_the_contour_also_on_an_axis_of_choices() -> None:
    of = study({"beta2": BETA, "learning_rate": RATE})
    ran = trials(of)
    chosen = selection(ran)
    star = study_figures(of, ran, chosen)["contour"].data[-1]
    point = chosen.point
    assert (star.name, star.x, star.y) == (
        f"chosen: {chosen.best.name}",
        (point.beta2,),
        (point.learning_rate,),
    )


def test_trials_from_before_the_space_was_changed_are_drawn() -> None:
    of = study(THREE)
    ran = trials(of)
    narrow = study({**THREE, "learning_rate": Range(low=0.05, high=0.1, log=True)})
    assert study_figures(narrow, ran, None).keys() == ALL


def test_a_loss_far_above_the_others_does_not_flatten_the_picture() -> None:
    of = study(THREE)
    ran = trials(of)
    high: TrialRecord = ran[0].model_copy(update={"value": 50.0})
    losses = study_figures(of, [high, *ran[1:]], None)["losses"]
    assert losses.layout.yaxis.range[1] < 10
