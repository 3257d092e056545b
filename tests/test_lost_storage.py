"""A study through an outage of the database that it is kept in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from optuna.storages import RDBStorage

from proxytune.cli.progress import StudyProgress
from proxytune.errors import RunError
from proxytune.packs.trial import TrialRecord, TrialResult
from proxytune.patience import Patience
from proxytune.search.report import StudyReport
from proxytune.search.source import Progress
from proxytune.search.study import delete_study, study_names
from proxytune.workflows.studies import create_study, run_study
from proxytune.workflows.workspace import Workspace
from tests.commands import TINY, proxytune, write_yaml
from tests.servers import Databases, Postgres
from tests.tables import read_trials

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TRIALS = 8
GO_ON = "the storage cannot be used (OperationalError); go on with: proxytune study run tiny"


@pytest.fixture
def file(text_file: Path, tmp_path: Path) -> Path:
    """A study of seconds."""
    search = TINY["search"] | {"trials": TRIALS}
    return write_yaml(
        tmp_path / "tiny.yaml", TINY | {"search": search, "data": {"text": str(text_file)}}
    )


@pytest.fixture
def workspace(databases: Databases, file: Path, tmp_path: Path) -> Workspace:
    """The study in the database, not yet run."""
    workspace = Workspace(tmp_path / "home", databases.optuna)
    if "tiny" in study_names(workspace.optuna):
        delete_study(workspace.optuna, "tiny")
    create_study(workspace, file)
    return workspace


@pytest.fixture
def undisturbed(file: Path, tmp_path: Path) -> dict[int, float | None]:
    """Values of its trials when nothing happens."""
    return values(run_study(file, Workspace(tmp_path / "quiet")).trials)


def values(trials: Sequence[TrialResult]) -> dict[int, float | None]:
    assert len({trial.number for trial in trials}) == len(trials)
    return {trial.number: trial.value for trial in trials}


class Watch:
    """Does something once, after the first trials have finished (an Observer)."""

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self._act: Callable[[], object] | None = act
        self.finished: list[TrialRecord] = []
        self.remarks: list[str] = []

    def __call__(self, progress: Progress) -> None:
        self.finished += progress.finished
        self.remarks += progress.remarks
        if self.finished and self._act is not None:
            act, self._act = self._act, None
            act()


def assert_nothing_is_missing(
    workspace: Workspace, study: StudyReport, watch: Watch, undisturbed: dict[int, float | None]
) -> None:
    assert study.state == "complete"
    assert len(undisturbed) == TRIALS
    assert values(study.trials) == pytest.approx(undisturbed)
    assert values(watch.finished) == pytest.approx(undisturbed)
    rows = read_trials(workspace.paths.parquet, "tiny").to_pylist()
    assert len(rows) == TRIALS
    assert {row["number"]: row["value"] for row in rows} == pytest.approx(undisturbed)


def test_a_database_that_was_killed_for_seconds_costs_nothing(
    workspace: Workspace, postgres: Postgres, undisturbed: dict[int, float | None]
) -> None:
    back = Timer(3, postgres.start)

    def kill() -> None:
        postgres.stop("immediate")
        back.start()

    watch = Watch(kill)
    try:
        study = run_study("tiny", workspace, watch)
    finally:
        back.join()
    assert not watch.remarks
    assert_nothing_is_missing(workspace, study, watch, undisturbed)


class Breaking:
    """Breaks the connection at every so many commits, before they are done or after."""

    def __init__(self, workspace: Workspace, postgres: Postgres, every: int, after: bool) -> None:
        storage = workspace.optuna
        assert isinstance(storage, RDBStorage)
        self._commit = storage.engine.dialect.do_commit
        self._postgres, self._every, self._after = postgres, every, after
        self._commits = self.broken = 0
        storage.engine.dialect.do_commit = self

    def __call__(self, connection: Any) -> None:
        self._commits += 1
        if self._commits % self._every:
            return self._commit(connection)
        self.broken += 1
        if self._after:
            self._commit(connection)
        self._postgres.disconnect("optuna")
        connection.cursor().execute("SELECT 1")
        return None


@pytest.mark.parametrize(("every", "after"), [(41, False), (67, True)])
def test_a_run_goes_on_when_a_connection_breaks_in_the_middle_of_a_commit(
    workspace: Workspace,
    postgres: Postgres,
    undisturbed: dict[int, float | None],
    every: int,
    after: bool,
) -> None:
    breaking = Breaking(workspace, postgres, every, after)
    watch = Watch()
    study = run_study("tiny", workspace, watch)
    assert breaking.broken >= 2
    assert watch.remarks
    assert {remark.partition("; ")[2] for remark in watch.remarks} <= {
        "trying again",
        "training goes on",
    }
    assert_nothing_is_missing(workspace, study, watch, undisturbed)


def test_a_run_that_loses_its_storage_again_and_again_ends(
    workspace: Workspace, postgres: Postgres
) -> None:
    workspace.patience = Patience(sink=1)
    watch = Watch(lambda: Breaking(workspace, postgres, 1, after=False))
    with pytest.raises(RunError) as ended:
        run_study("tiny", workspace, watch)
    assert str(ended.value) == GO_ON
    assert watch.remarks[0] == "the storage cannot be used (OperationalError); trying again"


def test_a_database_that_does_not_come_back_ends_the_command_in_one_line(
    workspace: Workspace,
    postgres: Postgres,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, show = Watch(lambda: postgres.stop("immediate")), StudyProgress.__call__

    def show_and_watch(progress: StudyProgress, news: Progress) -> None:
        show(progress, news)
        watch(news)

    command = ("study", "run", "tiny", "--home", workspace.home, "--storage", databases.optuna)
    with monkeypatch.context() as watched:
        watched.setattr(StudyProgress, "__call__", show_and_watch)
        try:
            ended = proxytune(*command, patience=Patience(storage=1, sink=1))
        finally:
            postgres.start()
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1] == f"Error: {GO_ON}"
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.output
