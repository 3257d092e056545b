"""One MLflow server for all tests that need one: it takes many seconds to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.config.study import StudySpec
from proxytune.packs.selection import Selection, candidates
from proxytune.packs.trial import TrialState
from proxytune.records.mlflow import MlflowSink
from proxytune.records.results import ResultLog
from proxytune.records.tracking import TrackingStore
from proxytune.testing.records import study, trial
from tests.servers import serving

ANSWER = "Train with learning_rate 0.334"


@pytest.fixture(scope="session")
def shown() -> StudySpec:
    """The complete study that the server's store has from the beginning; trial 1 is chosen."""
    return study("shown")


@pytest.fixture(scope="session")
def served(
    shown: StudySpec, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """The address of what `serve` serves, and the file of what it says."""
    folder = tmp_path_factory.mktemp("served")
    tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"
    sink = MlflowSink(tracking_uri)
    sink.open(shown)
    trials = [trial(shown, 0), trial(shown, 1), trial(shown, 2, TrialState.DIVERGED)]
    sink.add(trials)
    sink.close(complete=True)
    page = folder / "report.html"
    page.write_text("<h1>The page</h1>")
    (chosen,) = candidates([trials[1]])
    confirmed = chosen.model_copy(update={"confirmed": (3.5, 3.6)})
    ResultLog(TrackingStore(tracking_uri)).log_outcome(
        shown.name,
        Selection.of([confirmed], tokens=100, seeds=(1, 2)),
        trials,
        note=f"**{ANSWER}**",
        files=[page],
    )
    with serving(tracking_uri, folder) as address:
        yield address, folder / "server.log"


@pytest.fixture(scope="session")
def server(served: tuple[str, Path]) -> str:
    """The address of what `serve` serves."""
    return served[0]
