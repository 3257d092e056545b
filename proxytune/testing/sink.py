"""What every record sink promises: what was recorded is there, once, and of that study only."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import pytest

from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.records.sink import RecordSink
from proxytune.testing.records import study as study_named
from proxytune.testing.records import trial

CURVES = ("train_loss", "validation_loss", "grad_norm", "lr_factor")
_numbers = itertools.count()


@dataclass(frozen=True)
class Seen:
    """A recorded trial, as whoever reads the store sees it."""

    number: int
    state: str
    value: float | None
    seed: int
    pack: str
    tokens: int
    flops: float
    seconds: float
    started: datetime
    finished: datetime
    hyperparameters: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    """Name -> (step, value), where there is a finite one."""


def expected(record: TrialRecord) -> Seen:
    """What must be seen of a trial."""
    assert record.finished is not None
    same = {name: getattr(record, name) for name in Seen.__annotations__ if name != "curves"}
    curves = {
        name: [(e.step, value) for e in record.curve if (value := getattr(e, name)) is not None]
        for name in CURVES
    }
    return Seen(
        **same
        | {"state": str(record.state), "hyperparameters": record.hyperparameters.model_dump()},
        curves=curves,
    )


class Killed(BaseException):
    """The driver is gone."""


class RecordSinkContract(ABC):
    """Subclassed with a store, which all laws share: each has a study of its own."""

    last_act: ClassVar[str]
    """Dotted name of the function that makes what was written of a trial count."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("store")

    @pytest.fixture
    def study(self) -> StudySpec:
        return study_named(f"law-{next(_numbers)}")

    @abstractmethod
    def sink(self, store: Path) -> RecordSink:
        """A sink as a new process makes it."""

    @abstractmethod
    def seen(self, store: Path, study: StudySpec) -> list[Seen]:
        """All that a reader finds of a study, by number."""

    def opened(self, store: Path, study: StudySpec) -> RecordSink:
        sink = self.sink(store)
        sink.open(study)
        return sink

    @pytest.mark.parametrize("state", [s for s in TrialState if s.finished])
    def test_what_is_recorded_is_there_with_the_same_values(
        self, store: Path, study: StudySpec, state: TrialState
    ) -> None:
        records = [trial(study, 0), trial(study, 1, state)]
        self.opened(store, study).add(records)
        assert self.seen(store, study) == [expected(record) for record in records]

    def test_trials_join_those_before_in_any_order(self, store: Path, study: StudySpec) -> None:
        sink = self.opened(store, study)
        records = [trial(study, number) for number in range(4)]
        sink.add([records[2], records[0]])
        sink.add([records[3]])
        sink.add([records[1]])
        assert self.seen(store, study) == [expected(record) for record in records]

    def test_a_trial_recorded_again_is_there_once(self, store: Path, study: StudySpec) -> None:
        records = [trial(study, number) for number in range(3)]
        sink = self.opened(store, study)
        sink.add(records)
        sink.add(records[1:])
        assert self.seen(store, study) == [expected(record) for record in records]

    def test_another_process_goes_on(self, store: Path, study: StudySpec) -> None:
        records = [trial(study, number) for number in range(3)]
        first = self.opened(store, study)
        first.add(records[:2])
        first.close(complete=False)
        self.opened(store, study).add(records[1:])
        assert self.seen(store, study) == [expected(record) for record in records]

    def test_opening_tells_which_trials_are_there(self, store: Path, study: StudySpec) -> None:
        sink = self.sink(store)
        assert set(sink.open(study)) == set()
        sink.add([trial(study, 3), trial(study, 1, TrialState.FAILED)])
        assert set(self.sink(store).open(study)) == {1, 3}

    @pytest.mark.parametrize("acts", [0, 1])
    def test_what_a_killed_driver_left_half_written_is_repaired(
        self, store: Path, study: StudySpec, acts: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records = [trial(study, number) for number in range(4)]
        sink = self.opened(store, study)
        sink.add(records[:1])
        with monkeypatch.context() as patch:
            patch.setattr(self.last_act, _killed_after(acts, resolve_name(self.last_act)))
            with pytest.raises(Killed):
                sink.add(records[1:])
        self.opened(store, study).add(records)
        assert self.seen(store, study) == [expected(record) for record in records]

    @pytest.mark.parametrize("complete", [True, False])
    def test_closing_loses_nothing(self, store: Path, study: StudySpec, complete: bool) -> None:
        sink = self.opened(store, study)
        sink.add([trial(study, 0)])
        sink.close(complete=complete)
        assert self.seen(store, study) == [expected(trial(study, 0))]

    def test_studies_live_side_by_side(self, store: Path, study: StudySpec) -> None:
        other = study_named(f"{study.name}-too")
        ours, theirs = self.opened(store, study), self.opened(store, other)
        ours.add([trial(study, 0)])
        theirs.add([trial(other, 0, TrialState.DIVERGED), trial(other, 1)])
        ours.add([trial(study, 1)])
        assert [s.state for s in self.seen(store, study)] == ["complete", "complete"]
        assert [s.state for s in self.seen(store, other)] == ["diverged", "complete"]

    def test_delete_removes_all_of_that_study_only(self, store: Path, study: StudySpec) -> None:
        # Its name begins as the other's does.
        other = study_named(f"{study.name}-too")
        for spec in (study, other):
            sink = self.opened(store, spec)
            sink.add([trial(spec, 0)])
            sink.close(complete=True)
        self.sink(store).delete(study.name)
        assert self.seen(store, study) == []
        assert self.seen(store, other) == [expected(trial(other, 0))]

    def test_deleting_a_study_that_is_not_there_changes_nothing(
        self, store: Path, study: StudySpec
    ) -> None:
        self.opened(store, study).add([trial(study, 0)])
        self.sink(store).delete("never-heard-of")
        assert self.seen(store, study) == [expected(trial(study, 0))]

    def test_the_name_of_a_deleted_study_can_be_used_again(
        self, store: Path, study: StudySpec
    ) -> None:
        sink = self.opened(store, study)
        sink.add([trial(study, 0), trial(study, 1)])
        sink.delete(study.name)
        sink.open(study)
        sink.add([trial(study, 0, TrialState.PRUNED)])
        assert self.seen(store, study) == [expected(trial(study, 0, TrialState.PRUNED))]


def _killed_after(acts: int, act: Callable[..., Any]) -> Callable[..., Any]:
    done = itertools.count()

    def dying(*args: Any, **kwargs: Any) -> Any:
        if next(done) == acts:
            raise Killed
        return act(*args, **kwargs)

    return dying
