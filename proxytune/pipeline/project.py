"""Studies and transfers: the main job, from a study's file to a verdict on its target."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proxytune.errors import InputError, RunError, StorageLost
from proxytune.pipeline.calibration import calibration_of, remember_too_large
from proxytune.pipeline.stores import Stores, cores
from proxytune.plan.cost import cost_document
from proxytune.plan.pack_size import pack_size
from proxytune.records.mlflow import MlflowSink
from proxytune.records.parquet import ParquetSink, export_table, read_trials
from proxytune.records.record import RecordSink, TrialRecord, TrialState
from proxytune.records.recorder import Delivery, Recorder, Undelivered
from proxytune.records.ui import serve
from proxytune.scaling.table import projection_document
from proxytune.search.executor import Executor
from proxytune.search.lease import Lease
from proxytune.search.source import Observer, Progress
from proxytune.search.study import Study, delete_study, study_names
from proxytune.spec.load import load_study, load_target, require_scalable
from proxytune.spec.study import StudySpec
from proxytune.transfer.check import CheckRun, OnEvaluation, run_check
from proxytune.transfer.picture import draw
from proxytune.transfer.report import check_document, selection_document, write_documents
from proxytune.transfer.selection import Candidate, Confirmation, Selection
from proxytune.transfer.verdict import Verdict, judge

ATTEMPTS = 3
"""How often a run may lose its storage with nothing new in between."""


class Project(Stores):
    """Studies and transfers."""

    def create(self, path: Path) -> Study:
        """Defines the study of a file, having looked at its corpus."""
        spec = load_study(path)
        if spec.name in study_names(self.optuna):
            return Study.create(self.optuna, spec)
        try:
            self.tokens(spec)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return Study.create(self.opened_optuna, spec)

    def study(self, name: str) -> Study:
        """The study of that name."""
        return Study(self.optuna, name)

    def studies(self) -> list[Study]:
        """All studies that this program reads, by name; of each other one, a remark."""
        readable = []
        for name in study_names(self.optuna):
            try:
                readable.append(self.study(name))
            except InputError as error:
                self.remark(str(error))
        return readable

    def run(self, name: str, observe: Observer) -> Study:
        """Runs a study, or goes on with it, until its best trial is confirmed."""
        study = self.study(name)
        with study.lease() as lease:
            try:
                self._run(study, lease, observe)
            except KeyboardInterrupt:
                done = sum(trial.state.finished for trial in study.trials())
                raise RunError(
                    f"stopped with {done} of {study.spec.search.trials} trials finished; "
                    f"go on with: proxytune study run {name}"
                ) from None
            except StorageLost as lost:
                raise RunError(f"{lost}; go on with: proxytune study run {name}") from None
        return study

    def sync(self, name: str) -> list[Delivery]:
        """Gives every sink the trials that it lacks; what it has of others stays.

        Raises RunError for the first sink that fails.
        """
        study = self.study(name)
        with study.lease():
            finished = study.finished()
            deliveries = [Delivery(s, study.spec, finished, study.records) for s in self._sinks()]
            for delivery in deliveries:
                while delivery.advance():
                    pass
                delivery.sink.close(complete=study.completed is not None)
        return deliveries

    def export(self, name: str, path: Path) -> None:
        """Writes a study's trials to a file, in the format that its ending names."""
        self.study(name)
        export_table(read_trials(self.paths.parquet, name), path)

    def delete(self, name: str) -> None:
        """Removes a study from every store."""
        with self.study(name).lease():
            for sink in self._sinks():
                sink.delete(name)
            delete_study(self.optuna, name)
            shutil.rmtree(self.paths.packs(name), ignore_errors=True)

    def transfer(
        self, target: Path, name: str | None, check: bool, on_evaluation: OnEvaluation
    ) -> dict[str, Any]:
        """Projects a study's best base hyperparameters onto a target, and checks that they hold.

        Returns the document that is also written to the study's transfer folder.
        """
        goal = load_target(target)
        study = self.study(name) if name else self._latest_complete()
        selection = self._selection(study)
        require_scalable(study.spec.base, goal.shape, target)
        spec, best, trials = study.spec, selection.best.hyperparameters, study.trials()
        document: dict[str, Any] = {
            "study": study.name,
            "name": goal.name,
            "selection": selection_document(selection),
            **projection_document(best, spec.base, goal.shape, spec.parameterization),
            "cost": cost_document(sum(study.flops(trials).values()), goal),
            "check": None,
        }
        folder = self.paths.transfer(study.name, goal.name)
        if not check:
            write_documents(document, folder)
            return document
        run = run_check(spec, goal, best, self.tokens(spec), cores(), on_evaluation)
        verdict = judge(run, goal.check)
        document["check"] = check_document(run, verdict)
        files = write_documents(document, folder)
        draw(folder / "check.png", _candidates(trials), selection, run, verdict)
        files.append(folder / "check.png")
        self.add_to_mlflow(lambda mlflow: _add_transfer(mlflow, document, run, verdict, files))
        return document

    def transfer_folder(self, document: dict[str, Any]) -> Path:
        """Where the files of a transfer are."""
        return self.paths.transfer(document["study"], document["name"])

    def serve_ui(self, port: int) -> int:
        """Serves the MLflow UI until it is stopped; returns its exit code."""
        return serve(self.mlflow_uri, port)

    def _run(self, study: Study, lease: Lease, observe: Observer) -> None:
        complete = study.completed is not None
        recorder = Recorder(study.spec, self._sinks(), study.finished(), study.records)
        try:
            if not complete:
                with self.executor(study.spec) as executor:

                    def train(observe: Observer) -> None:
                        self._train(study, lease, executor, recorder, observe)

                    _through_losses(train, observe)
                complete = True
        finally:
            # What another process runs now, it also records.
            if lease.lost:
                recorder.abandon()
                left = []
            else:
                left = recorder.finish(complete=complete)
            # Training has lost nothing, but this machine has a fault that its owner must hear of.
            faults = [one for one in left if one.reason and not one.sink.remote]
            observe(Progress(remarks=[_remark(study, one) for one in left if one not in faults]))
        for one in faults:
            raise RunError(f"{one.reason}; {_remark(study, one)}")

    def _train(
        self,
        study: Study,
        lease: Lease,
        executor: Executor,
        recorder: Recorder,
        observe: Observer,
    ) -> None:
        """From whatever the storage holds to the end."""
        if study.pack_size is None:
            size = self._pack_size(study.spec, executor)
            lease.require()
            study.choose_pack_size(size)
            observe(Progress(pack_size=size))
        self._search(study, lease, executor, recorder, observe)
        self._confirm(study, lease, executor)

    def _pack_size(self, spec: StudySpec, executor: Executor) -> int:
        """As many trials as pay, by what is measured where packs train."""
        found = executor.call(
            calibration_of, self.paths.calibrations, spec.proxy, spec.training, spec.execution
        )
        search = spec.search
        return pack_size(found, search.trials, executor.slots, search.learns)

    def _search(
        self,
        study: Study,
        lease: Lease,
        executor: Executor,
        recorder: Recorder,
        observe: Observer,
    ) -> None:
        refused: list[int] = []

        def record_and_observe(progress: Progress) -> None:
            if progress.too_large is not None:
                refused.append(progress.too_large)
            recorder.add(trial.number for trial in progress.finished)
            waits = [f"{trouble}; training goes on" for trouble in recorder.troubles()]
            observe(dataclasses.replace(progress, remarks=waits))

        checkpoints = self.paths.packs(study.name)
        spec = study.spec
        source = study.source(self.tokens(spec), checkpoints, record_and_observe)
        # Told to a storage that was lost before it could be told here.
        if missed := recorder.lacks(study.finished()):
            record_and_observe(Progress(finished=study.records(missed)))
        executor.run(lease.guard(source))
        if refused:
            place = (self.paths.calibrations, spec.proxy, spec.training, spec.execution)
            executor.call(remember_too_large, *place, min(refused))

    def _confirm(self, study: Study, lease: Lease, executor: Executor) -> None:
        top = _candidates(study.trials())[: study.spec.selection.top]
        if not top:
            raise RunError(
                f"study {study.name!r}: no trial has a finite loss; search lower learning rates"
            )
        confirmation = Confirmation(study.spec, top, self.tokens(study.spec))
        executor.run(lease.guard(confirmation))
        lease.require()
        study.complete(confirmation.selection().model_dump(mode="json"))

    def _sinks(self) -> list[RecordSink]:
        return [ParquetSink(self.paths.parquet), self.mlflow()]

    def _selection(self, study: Study) -> Selection:
        if study.selection is None:
            raise InputError.of_field(
                "study",
                study.name,
                f"is not complete; finish it with: proxytune study run {study.name}",
            )
        return Selection.model_validate(study.selection)

    def _latest_complete(self) -> Study:
        complete = [(s.completed, s) for s in self.studies() if s.completed is not None]
        if not complete:
            raise InputError(
                f"{self.home}: holds no complete study to transfer from; "
                "make one with: proxytune study create STUDY.yaml"
            )
        return max(complete, key=lambda pair: pair[0])[1]


def _through_losses(train: Callable[[Observer], None], observe: Observer) -> None:
    """Calls `train` until it gets through; a lost storage is no matter while there is news."""
    fruitless = 0

    def hear(progress: Progress) -> None:
        nonlocal fruitless
        fruitless = 0
        observe(progress)

    while True:
        try:
            return train(hear)
        except StorageLost as lost:
            fruitless += 1
            if fruitless == ATTEMPTS:
                raise
            if fruitless == 1:
                observe(Progress(remarks=[f"{lost}; trying again"]))


def _remark(study: Study, left: Undelivered) -> str:
    return (
        f"{left.sink} has {left.recorded} of {left.finished} trials; "
        f"deliver the rest with: proxytune study sync {study.name}"
    )


def _add_transfer(
    mlflow: MlflowSink,
    document: dict[str, Any],
    run: CheckRun,
    verdict: Verdict,
    files: Sequence[Path],
) -> None:
    sides = {"proxy": run.proxy, "target": run.target}
    mlflow.log_transfer(
        document["study"],
        document["name"],
        params=document["hyperparameters"],
        metrics={
            f"{criterion.name}.{name}".replace(" ", "_"): value
            for criterion in verdict.criteria
            for name, value in criterion.numbers.items()
        },
        curves={
            f"{name}.validation_loss": [
                (e.step, e.validation_loss)
                for e in side.evaluations
                if e.validation_loss is not None
            ]
            for name, side in sides.items()
        },
        tags={
            "verdict": verdict.word,
            **{c.name.replace(" ", "_"): c.reason for c in verdict.criteria},
        },
        files=files,
    )


def _candidates(trials: Sequence[TrialRecord]) -> list[Candidate]:
    """Trials that trained to the end, best first."""
    candidates = [
        Candidate(number=t.number, hyperparameters=t.hyperparameters, value=t.value)
        for t in trials
        if t.state is TrialState.COMPLETE and t.value is not None
    ]
    return sorted(candidates, key=lambda candidate: candidate.value)
