"""A study through an outage of its MLflow server, which is killed and comes back."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from mlflow import MlflowClient

from proxytune.search.source import Progress
from proxytune.workflows.studies import run_study
from proxytune.workflows.workspace import Workspace
from tests.commands import TINY, write_yaml
from tests.servers import free_port, serving

TRIALS = 24


class Outage:
    """Kills the server after a third of the trials, and starts it after two (an Observer)."""

    def __init__(self, folder: Path, servers: ExitStack) -> None:
        store = folder / "server.db"
        store.touch()
        self._where = f"sqlite:///{store}", folder, free_port(), signal.SIGKILL
        self._servers = servers
        self.address = servers.enter_context(serving(*self._where))
        self.remarks: list[str] = []
        self._finished, self._up, self._over = 0, True, False

    def __call__(self, progress: Progress) -> None:
        self._finished += len(progress.finished)
        self.remarks += progress.remarks
        if self._up and not self._over and self._finished >= TRIALS // 3:
            while len(self.runs()) < 2:
                time.sleep(0.1)
            self._servers.close()
            self._up = False
        elif not self._up and self._finished >= 2 * TRIALS // 3:
            self._servers.enter_context(serving(*self._where))
            self._up = self._over = True
        elif not self._up:
            time.sleep(1)  # for somebody to find it gone

    def runs(self) -> list[tuple[str, str]]:
        """Name and status of the runs of the study and its trials."""
        client = MlflowClient(tracking_uri=self.address)
        experiment = client.get_experiment_by_name("tiny")
        query = "tags.`proxytune.kind` != 'confirmation'"
        found = client.search_runs([experiment.experiment_id], query) if experiment else []
        return sorted((run.info.run_name, run.info.status) for run in found)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_server_that_was_killed_in_the_middle_third_has_each_trial_once_and_none_open(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    search = TINY["search"] | {"trials": TRIALS}
    spec = TINY | {"data": {"text": str(text_file)}, "search": search}
    with ExitStack() as servers:
        outage = Outage(tmp_path, servers)
        workspace = Workspace(tmp_path / "home", tracking_uri=outage.address)
        study = run_study(write_yaml(tmp_path / "tiny.yaml", spec), workspace, outage)
        runs = outage.runs()
    assert study.state == "complete"
    (remark,) = outage.remarks
    assert remark.endswith("; training goes on")
    trials = [(f"trial-{number:05d}", "FINISHED") for number in range(TRIALS)]
    assert runs == [("tiny", "FINISHED"), *trials]
