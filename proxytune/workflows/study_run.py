"""A study's way to its end: its trials, their records, and the best of them confirmed."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.data.tokens import facts_of
from proxytune.errors import RunError, StorageLost
from proxytune.packs.phase import Phase
from proxytune.packs.ports import Executor
from proxytune.packs.watched import WatchedPacks, work_of
from proxytune.plan.cost import study_runs
from proxytune.plan.pack_size import pack_size
from proxytune.records.recorder import Recorder, Undelivered
from proxytune.search.source import Observer, Progress
from proxytune.search.study import Study
from proxytune.selection.select import Findings
from proxytune.storage.lease import Lease
from proxytune.workflows.calibration import calibration_of, compiling_of, remember_too_large
from proxytune.workflows.outcome import record_outcome
from proxytune.workflows.workspace import Workspace

WORTH_MEASURING = 1e12
"""Floating-point operations of a pack from which torch.compile is tried: a minute of one core."""
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
                    self._through_losses(lambda: self._train(executor))
                complete = True
        finally:
            left = self._end_of_records(complete)
            # Training has lost nothing, but this machine has a fault that its owner must hear of.
            faults = [one for one in left if one.reason and not one.sink.remote]
            self._tell(Progress(remarks=[self._remark(o) for o in left if o not in faults]))
        for one in faults:
            raise RunError(f"{one.reason}; {self._remark(one)}")
        if not left and not self._lease.lost:
            self._record_outcome()

    def _through_losses(self, act: Callable[[], None]) -> None:
        """A lost storage is no matter, as long as there is news in between."""
        while True:
            try:
                return act()
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
        if self._study.compiling is None:
            self._choose_compiling(executor)
        self._search(executor)
        self._confirm(executor)

    def _choose_pack_size(self, executor: Executor) -> None:
        """As many trials as pay, by what is measured where packs train."""
        search = self._study.spec.search
        self._workspace.on_phase(Phase("measuring speed and memory"))
        found = executor.call(calibration_of, *self._calibrated())
        size = pack_size(found, search.trials, executor.slots, search.learns)
        self._lease.require()
        self._study.choose_pack_size(size)
        self._hear(Progress(pack_size=size))

    def _choose_compiling(self, executor: Executor) -> None:
        """Whether packs are compiled, by what is measured where they train."""
        _, shape, training, execution = self._calibrated()
        members, found = self._study.pack_size or 1, None
        if members * work_of(self._study.spec) > WORTH_MEASURING:
            self._workspace.on_phase(Phase("measuring torch.compile"))
            found = executor.call(compiling_of, shape, training, execution, members)
        self._lease.require()
        self._study.choose_compiling(found is not None and found.pays(training.steps))

    def _search(self, executor: Executor) -> None:
        study = self._study
        refused: list[int] = []

        def record_and_hear(progress: Progress) -> None:
            if progress.too_large is not None:
                refused.append(progress.too_large)
            self._recorder.add(trial.number for trial in progress.finished)
            waits = [f"{trouble}; training goes on" for trouble in self._recorder.troubles()]
            self._hear(dataclasses.replace(progress, remarks=[*progress.remarks, *waits]))

        checkpoints = self._workspace.paths.packs(study.name)
        source = study.source(self._tokens(), checkpoints, record_and_hear)
        # Told to a storage that was lost before it could be told here.
        if missed := self._recorder.lacks(study.finished()):
            record_and_hear(Progress(finished=study.records(missed)))
        one, spec = work_of(study.spec), study.spec
        watched = WatchedPacks(
            source,
            "search",
            self._workspace.on_phase,
            total=spec.search.trials * one,
            before=len(study.finished()) * one,
            after=self._race_work(),
        )
        executor.run(self._lease.guard(watched))
        if refused:
            executor.call(remember_too_large, *self._calibrated(), min(refused))

    def _confirm(self, executor: Executor) -> None:
        study = self._study
        self._workspace.on_phase(Phase("fitting a surface to the trials"))
        found = Findings.of(study.settled, study.trials())
        race = found.race(self._tokens(), self._workspace.paths.packs(study.name))
        tell = self._workspace.on_phase
        watched = WatchedPacks(race, "fresh seeds", tell, total=self._race_work())
        executor.run(self._lease.guard(watched))
        self._lease.require()
        study.complete(found.selection(race))
        race.forget()

    def _race_work(self) -> float:
        """Of a race of usual length, as `plan` counts it."""
        spec = self._study.spec
        return (study_runs(spec) - spec.search.trials) * work_of(spec)

    def _tokens(self) -> Path:
        """The folder of the study's tokens, which are the same as when it began."""
        folder = self._workspace.tokens(self._study.spec)
        self._lease.require()
        self._study.require_corpus(facts_of(folder))
        return folder

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
        self._workspace.on_phase(Phase("recording trials"))
        return self._recorder.finish(complete=complete)

    def _record_outcome(self) -> None:
        """A store that fails now costs a remark: every trial is recorded."""
        try:
            self._through_losses(lambda: record_outcome(self._workspace, self._study))
        except RunError as error:
            remark = f"{error}; add the outcome with: proxytune study sync {self._study.name}"
            self._tell(Progress(remarks=[remark]))

    def _remark(self, left: Undelivered) -> str:
        return (
            f"{left.sink} has {left.recorded} of {left.finished} trials; "
            f"deliver the rest with: proxytune study sync {self._study.name}"
        )
