"""Studies: define, find, run, sync, export, delete."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from proxytune.config.load import load_study, loaded, told
from proxytune.config.search import Point
from proxytune.config.study import StudySpec
from proxytune.errors import InputError, Interrupted, RunError, StorageLost
from proxytune.libraries import libraries_in_words
from proxytune.packs.phase import Phase
from proxytune.records.report import SinkReport, SyncReport
from proxytune.search.growth import best_points
from proxytune.search.report import StudyReport
from proxytune.search.source import Observer, Progress
from proxytune.search.study import Study, delete_study, study_names
from proxytune.workflows.workspace import Workspace

READS = 3
"""How often a finished study is read, at most, where its storage is lost each time."""


@libraries_in_words()
def run_study(
    study: StudySpec | str | Path,
    workspace: Workspace | None = None,
    observe: Observer | None = None,
) -> StudyReport:
    """Runs a study, or resumes it, until its best trial is confirmed; then tells of it.

    `study` is a YAML file, a StudySpec, or the name of a study that the workspace has. A string is
    a file if it ends in `.yaml` or `.yml` or holds a `/`, and else a name, whatever files there
    are: the same call means the same everywhere. A study that is complete is only told of.

    `observe` is called with what happens meanwhile, from the thread that called this. Raises
    InputError for a study that cannot be used, or that another process runs, and RunError if
    something fails while running; what was trained until then is kept.
    """
    where = workspace or Workspace()
    if isinstance(study, str) and not _is_file(study):
        found = find_study(where, study)
    else:
        found = create_study(where, study)
    return continue_study(where, found, observe or _remarks_to(where))


def create_study(workspace: Workspace, study: StudySpec | str | Path) -> Study:
    """Defines the study of a file or a spec, having looked at its corpus."""
    spec = loaded(study, load_study)
    try:
        spec = workspace.with_vocabulary(spec)
        is_new = spec.name not in study_names(workspace.optuna)
        if is_new:
            workspace.tokens(spec)
        start = _start_of(workspace, spec) if is_new else []
    except InputError as error:
        raise InputError(f"{told(study)}: {error}") from None
    return Study.create(workspace.opened_optuna if is_new else workspace.optuna, spec, start)


def _start_of(workspace: Workspace, spec: StudySpec) -> list[Point]:
    """The best points of the study that it starts from."""
    if spec.start_from is None:
        return []
    other = find_study(workspace, spec.start_from)
    return best_points(other.spec, other.selection, other.trials(), spec)


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


def continue_study(workspace: Workspace, study: Study, observe: Observer) -> StudyReport:
    """Trains what is missing of a study that is stored, and tells of it."""
    workspace.require_writable()
    workspace.on_phase(Phase("loading libraries"))
    with study.lease() as lease:
        # Another process may have extended it until now.
        study = find_study(workspace, study.name)
        try:
            # Not before it is needed: torch takes seconds to import.
            from proxytune.workflows.study_run import StudyRun

            StudyRun(workspace, study, lease, observe).finish()
        except KeyboardInterrupt:
            done = sum(trial.state.finished for trial in study.trials())
            raise RunError(
                f"stopped with {done} of {study.spec.search.trials} trials finished; "
                f"go on with: proxytune study run {study.name}"
            ) from None
        except Interrupted as error:
            raise RunError(f"{error}; go on with: proxytune study run {study.name}") from None
    return _read_report(workspace, study)


def sync_study(workspace: Workspace, name: str) -> SyncReport:
    """Gives every sink the trials that it lacks; what it has of others stays.

    MLflow gets the outcome of a complete study, too. Raises RunError for the first that fails.
    """
    from proxytune.records.recorder import Delivery
    from proxytune.workflows.outcome import record_outcome

    study = find_study(workspace, name)
    workspace.require_writable()
    with study.lease():
        finished = study.finished()
        workspace.on_phase(Phase("recording trials"))
        deliveries = [Delivery(s, study.spec, finished, study.records) for s in workspace.sinks()]
        for delivery in deliveries:
            while delivery.advance():
                pass
            delivery.sink.close(complete=study.completed is not None)
        record_outcome(workspace, study)
    sinks = [
        SinkReport(sink=str(one.sink), trials=one.recorded, added=one.added) for one in deliveries
    ]
    return SyncReport(study=name, sinks=tuple(sinks))


def export_study(workspace: Workspace, name: str, path: Path) -> None:
    """Writes a study's finished trials to a file, in the format that its ending names.

    They come from Optuna's storage: Parquet is a copy of it, and may lack some.
    """
    study = find_study(workspace, name)
    from proxytune.records.parquet import export_table, trials_table

    export_table(trials_table(study.records(sorted(study.finished())), study.spec), path)


def remove_study(workspace: Workspace, name: str) -> None:
    """Removes a study from every store, with its transfers."""
    paths = workspace.paths
    with find_study(workspace, name).lease():
        for sink in workspace.sinks():
            sink.delete(name)
        delete_study(workspace.optuna, name)
        for folder in (paths.packs(name), paths.runs(name), paths.transfers(name)):
            shutil.rmtree(folder, ignore_errors=True)


def report_study(workspace: Workspace, study: Study) -> StudyReport:
    """All that is known of a study, with where its trials' logs are."""
    report = study.report()
    if study.spec.trainer is None:
        return report
    runs = workspace.stored.runs(study.name)
    trials = tuple(
        trial.model_copy(update={"log": str(runs / trial.pack / "stderr.log")})
        for trial in report.trials
    )
    return report.model_copy(update={"trials": trials})


def _read_report(workspace: Workspace, study: Study) -> StudyReport:
    """The report, read again if the storage is lost meanwhile: reading changes nothing."""
    for _ in range(READS - 1):
        with suppress(StorageLost):
            return report_study(workspace, study)
    return report_study(workspace, study)


def _is_file(text: str) -> bool:
    return "/" in text or text.endswith((".yaml", ".yml"))


def _remarks_to(workspace: Workspace) -> Callable[[Progress], None]:
    """An observer that passes on what a user should know, and nothing else."""

    def observe(progress: Progress) -> None:
        for remark in progress.remarks:
            workspace.remark(remark)

    return observe
