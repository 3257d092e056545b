"""One MLflow server for all tests that need one: it takes many seconds to start."""

from collections.abc import Iterator

import pytest

from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialState
from proxytune.records.mlflow import MlflowSink
from proxytune.testing.records import study, trial
from tests.servers import serving


@pytest.fixture(scope="session")
def shown() -> StudySpec:
    """The study that the server's store has from the beginning."""
    return study("shown")


@pytest.fixture(scope="session")
def server(shown: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of what `serve` serves."""
    folder = tmp_path_factory.mktemp("served")
    tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"
    sink = MlflowSink(tracking_uri, folder / "artifacts")
    sink.open(shown)
    sink.add([trial(shown, 0), trial(shown, 1), trial(shown, 2, TrialState.DIVERGED)])
    sink.close(complete=True)
    with serving(tracking_uri, folder) as address:
        yield address
