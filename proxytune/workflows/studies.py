"""Studies: define, find, run, sync, export, delete."""

import shutil
from pathlib import Path

from proxytune.config.load import load_study
from proxytune.errors import InputError, Interrupted, RunError
from proxytune.records.parquet import export_table, read_trials
from proxytune.records.recorder import Delivery
from proxytune.search.source import Observer
from proxytune.search.study import Study, delete_study, study_names
from proxytune.workflows.study_run import StudyRun
from proxytune.workflows.workspace import Workspace


def create_study(workspace: Workspace, path: Path) -> Study:
    """Defines the study of a file, having looked at its corpus."""
    spec = load_study(path)
    if spec.name in study_names(workspace.optuna):
        return Study.create(workspace.optuna, spec)
    try:
        workspace.tokens(spec)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Study.create(workspace.opened_optuna, spec)


def find_study(workspace: Workspace, name: str) -> Study:
    """The study of that name."""
    return Study(workspace.optuna, name)


def find_studies(workspace: Workspace) -> list[Study]:
    """All studies that this program reads, by name; of each other one, a remark."""
    readable = []
    for name in study_names(workspace.optuna):
        try:
            readable.append(find_study(workspace, name))
        except InputError as error:
            workspace.remark(str(error))
    return readable


def run_study(workspace: Workspace, name: str, observe: Observer) -> Study:
    """Runs a study, or resumes it, until its best trial is confirmed."""
    study = find_study(workspace, name)
    with study.lease() as lease:
        try:
            StudyRun(workspace, study, lease, observe).finish()
        except KeyboardInterrupt:
            done = sum(trial.state.finished for trial in study.trials())
            raise RunError(
                f"stopped with {done} of {study.spec.search.trials} trials finished; "
                f"go on with: proxytune study run {name}"
            ) from None
        except Interrupted as error:
            raise RunError(f"{error}; go on with: proxytune study run {name}") from None
    return study


def sync_study(workspace: Workspace, name: str) -> list[Delivery]:
    """Gives every sink the trials that it lacks; what it has of others stays.

    Raises RunError for the first sink that fails.
    """
    study = find_study(workspace, name)
    with study.lease():
        finished = study.finished()
        deliveries = [Delivery(s, study.spec, finished, study.records) for s in workspace.sinks()]
        for delivery in deliveries:
            while delivery.advance():
                pass
            delivery.sink.close(complete=study.completed is not None)
    return deliveries


def export_study(workspace: Workspace, name: str, path: Path) -> None:
    """Writes a study's trials to a file, in the format that its ending names."""
    find_study(workspace, name)
    export_table(read_trials(workspace.paths.parquet, name), path)


def remove_study(workspace: Workspace, name: str) -> None:
    """Removes a study from every store."""
    with find_study(workspace, name).lease():
        for sink in workspace.sinks():
            sink.delete(name)
        delete_study(workspace.optuna, name)
        shutil.rmtree(workspace.paths.packs(name), ignore_errors=True)
