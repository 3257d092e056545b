"""A selection is stored without what its candidates tell; old ones still mean what they did."""

import json
from pathlib import Path

import pytest

from proxytune.packs.selection import Candidate, Cliff, Edge, Selection
from tests.transfer.examples import candidates

OLD = Path(__file__).parent / "old_selection.json"
"""As it was stored while the best trial was a study's whole outcome."""
TRIALS = [
    one.model_copy(update={"confirmed": confirmed, "equal": equal})
    for one, confirmed, equal in zip(
        candidates(3.0, 2.9, 2.8),
        [(3.1, 3.3), (3.2, 3.4), (3.3, None)],
        [None, True, False],
        strict=True,
    )
]
BETWEEN = Candidate(
    number=None,
    origin="surface",
    hyperparameters=TRIALS[0].hyperparameters,
    value=None,
    predicted=2.95,
    confirmed=(3.0, 3.2),
)
EDGE = Edge(
    field="learning_rate", bound=0.01, probability=0.4, proposed=(0.001, 0.04), remark="wider"
)
CLIFF = Cliff(bound=0.02, trial=7, remark="close")


def read(selection: Selection) -> Selection:
    return Selection.read(json.loads(json.dumps(selection.stored())), seed=5)


@pytest.mark.parametrize("best", [TRIALS[0], BETWEEN], ids=["a trial", "between trials"])
def test_what_is_stored_comes_back_whole(best: Candidate) -> None:
    selection = Selection.of(
        [best, *TRIALS[1:]],
        tokens=1024,
        interval={"learning_rate": (0.01, 0.02)},
        surface="gp",
        edge=(EDGE,),
        cliff=CLIFF,
        seeds=(6, 7),
    )
    assert read(selection) == selection
    assert (selection.trial, selection.point) == (best.number, best.hyperparameters)
    assert [one.number for one in selection.equal] == [1]
    assert selection.remarks == ("wider", "close")


def test_a_selection_of_an_older_version_keeps_its_meaning() -> None:
    old = json.loads(OLD.read_text())
    selection = Selection.read(old, seed=7)
    first, second = old["candidates"]
    assert (selection.trial, selection.tokens) == (first["number"], old["tokens"])
    assert selection.point.model_dump() == first["hyperparameters"]
    assert selection.validation_loss == pytest.approx(sum(first["confirmed"]) / 2)
    assert [c.number for c in selection.candidates] == [first["number"], second["number"]]
    assert {c.origin for c in selection.candidates} == {"trial"}
    assert selection.seeds == (8, 9)
    assert (selection.interval, selection.surface, selection.remarks) == ({}, None, ())
    assert selection.equal == (), "nobody judged that"


def test_a_point_between_trials_has_no_loss_of_the_search() -> None:
    assert BETWEEN.mean == pytest.approx(3.1)
    assert BETWEEN.model_copy(update={"confirmed": ()}).mean == float("inf")
    assert (TRIALS[1].name, BETWEEN.name) == ("trial 1", "the surface's minimum")
