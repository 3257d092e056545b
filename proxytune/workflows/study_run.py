"""A study's way to its end: its trials, their records, and the best of them confirmed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.errors import RunError, StorageLost
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.ports import Executor
from proxytune.packs.selection import candidates
from proxytune.plan.pack_size import pack_size
from proxytune.records.recorder import Recorder, Undelivered
from proxytune.search.source import Observer, Progress
from proxytune.search.study import Study
from proxytune.storage.lease import Lease
from proxytune.transfer.selection import confirmation_packs, select
from proxytune.workflows.calibration import calibration_of, remember_too_large
from proxytune.workflows.workspace import Workspace

ATTEMPTS = 3
"""How often a run may lose its storage with nothing new in between."""


class StudyRun:
    """One process's run of a study, whose lease it holds. Wherever the study is, it goes on."""

    def __init__(
        self, workspace: Workspace, study: Study, lease: Lease, observe: Observer
    ) -> None:
        self._workspace, self._study, self._lease = workspace, study, lease
        self._tell = observe
        self._fruitless = 0
        """Storages lost since the last news."""

    def finish(self) -> None:
        """Trains what is missing, and sees that everything is recorded."""
        study = self._study
        complete = study.completed is not None
        self._recorder = Recorder(
            study.spec,
            self._workspace.sinks(),
            study.finished(),
            study.records,
            self._workspace.patience,
        )
        try:
            if not complete:
                with self._workspace.executor(study.spec) as executor:
                    self._train_through_losses(executor)
                complete = True
        finally:
            left = self._end_of_records(complete)
            # Training has lost nothing, but this machine has a fault that its owner must hear of.
            faults = [one for one in left if one.reason and not one.sink.remote]
            self._tell(Progress(remarks=[self._remark(o) for o in left if o not in faults]))
        for one in faults:
            raise RunError(f"{one.reason}; {self._remark(one)}")

    def _train_through_losses(self, executor: Executor) -> None:
        """A lost storage is no matter, as long as there is news in between."""
        while True:
            try:
                return self._train(executor)
            except StorageLost as lost:
                self._fruitless += 1
                if self._fruitless == ATTEMPTS:
                    raise
                if self._fruitless == 1:
                    self._tell(Progress(remarks=[f"{lost}; trying again"]))

    def _train(self, executor: Executor) -> None:
        """From whatever the storage holds to the end."""
        if self._study.pack_size is None:
            self._choose_pack_size(executor)
        self._search(executor)
        self._confirm(executor)

    def _choose_pack_size(self, executor: Executor) -> None:
        """As many trials as pay, by what is measured where packs train."""
        search = self._study.spec.search
        found = executor.call(calibration_of, *self._calibrated())
        size = pack_size(found, search.trials, executor.slots, search.learns)
        self._lease.require()
        self._study.choose_pack_size(size)
        self._hear(Progress(pack_size=size))

    def _search(self, executor: Executor) -> None:
        study = self._study
        refused: list[int] = []

        def record_and_hear(progress: Progress) -> None:
            if progress.too_large is not None:
                refused.append(progress.too_large)
            self._recorder.add(trial.number for trial in progress.finished)
            waits = [f"{trouble}; training goes on" for trouble in self._recorder.troubles()]
            self._hear(dataclasses.replace(progress, remarks=waits))

        tokens, checkpoints = (
            self._workspace.tokens(study.spec),
            self._workspace.paths.packs(study.name),
        )
        source = study.source(tokens, checkpoints, record_and_hear)
        # Told to a storage that was lost before it could be told here.
        if missed := self._recorder.lacks(study.finished()):
            record_and_hear(Progress(finished=study.records(missed)))
        executor.run(self._lease.guard(source))
        if refused:
            executor.call(remember_too_large, *self._calibrated(), min(refused))

    def _confirm(self, executor: Executor) -> None:
        study = self._study
        top = candidates(study.trials())[: study.spec.selection.top]
        if not top:
            raise RunError(
                f"study {study.name!r}: no trial has a finite loss; search lower learning rates"
            )
        tokens = self._workspace.tokens(study.spec)
        packs = FixedPacks(confirmation_packs(study.spec, top, tokens))
        executor.run(self._lease.guard(packs))
        self._lease.require()
        study.complete(select(study.name, top, packs))

    def _calibrated(self) -> tuple[Path, Shape, TrainingSpec, ExecutionSpec]:
        """Where calibrations are kept, and what this one is of."""
        spec = self._study.spec
        return self._workspace.paths.calibrations, spec.proxy, spec.training, spec.execution

    def _hear(self, progress: Progress) -> None:
        self._fruitless = 0
        self._tell(progress)

    def _end_of_records(self, complete: bool) -> Sequence[Undelivered]:
        if self._lease.lost:
            # What another process runs now, it also records.
            self._recorder.abandon()
            return ()
        return self._recorder.finish(complete=complete)

    def _remark(self, left: Undelivered) -> str:
        return (
            f"{left.sink} has {left.recorded} of {left.finished} trials; "
            f"deliver the rest with: proxytune study sync {self._study.name}"
        )
