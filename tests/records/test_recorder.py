"""Laws of the recorder: all trials, in order, once, and nobody waits for a sink."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from threading import Event

import pytest

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.trial import TrialRecord
from proxytune.patience import Patience
from proxytune.records.recorder import Recorder
from proxytune.records.sink import RecordSink
from proxytune.testing.records import study, trial

STUDY = study("followed")


HURRIED = Patience(linger=0.005, retry=0.005, longest_retry=0.005)
IMPATIENT = replace(HURRIED, sink=0.5)


class Store:
    """A sink that keeps what it is given, unless it is down (a RecordSink)."""

    batch = 4
    remote = True

    def __init__(self, there: Sequence[int] = ()) -> None:
        self.numbers = list(there)
        self.given = 0
        self.down: range | None = None
        """The attempts that fail."""
        self.seconds = 0.0
        """How long each `add` takes."""
        self.attempts = 0
        self.closed: list[bool] = []

    def open(self, study: StudySpec) -> Collection[int]:
        self._answer()
        return set(self.numbers)

    def add(self, trials: Sequence[TrialRecord]) -> None:
        time.sleep(self.seconds)
        # It fails with some of them written.
        self.numbers += [t.number for t in trials[:1] if t.number not in self.numbers]
        self._answer()
        self.given += len(trials)
        self.numbers += [t.number for t in trials if t.number not in self.numbers]

    def close(self, *, complete: bool) -> None:
        self._answer()
        self.closed.append(complete)

    def delete(self, study: str) -> None:
        raise AssertionError("a recorder deletes nothing")

    def _answer(self) -> None:
        self.attempts += 1
        if self.down is not None and self.attempts in self.down:
            raise RunError("the store is down")


def recorder(
    *sinks: RecordSink, before: Sequence[int] = (), patience: Patience = HURRIED
) -> Recorder:
    def read(numbers: Sequence[int]) -> list[TrialRecord]:
        return [trial(STUDY, number) for number in numbers]

    return Recorder(STUDY, sinks, before, read, patience)


def test_a_sink_gets_what_it_lacks_in_the_order_of_finishing() -> None:
    store = Store(there=[2])
    running = recorder(store, before=[2, 0])
    for numbers in ([5, 3], [4], [1, 6, 7, 8, 9]):
        running.add(numbers)
    assert running.finish(complete=True) == []
    assert store.numbers == [2, 0, 5, 3, 4, 1, 6, 7, 8, 9]
    assert store.given == 9
    assert store.closed == [True]


def test_a_sink_that_was_down_for_the_middle_third_has_everything_once() -> None:
    store = Store()
    running = recorder(store)
    running.add(range(10))
    _await(lambda: store.numbers == list(range(10)))
    store.down = range(1_000_000)
    before = store.attempts
    running.add(range(10, 20))
    _await(lambda: store.attempts > before + 3)
    store.down = None
    running.add(range(20, 30))
    assert running.finish(complete=False) == []
    assert store.numbers == list(range(30))
    assert store.closed == [False]


def _await(law: Callable[[], bool]) -> None:
    while not law():
        time.sleep(0.002)


def test_what_a_sink_fails_with_is_told_once() -> None:
    store = Store()
    store.down = range(1, 10)
    running = recorder(store)
    running.add([0])
    heard: list[str] = []
    while store.attempts < 8:
        heard += running.troubles()
        time.sleep(0.002)
    assert heard + running.troubles() == ["the store is down"]
    running.finish(complete=True)


@pytest.mark.parametrize("first", [1, 2], ids=["from the start", "after it was opened"])
def test_a_sink_that_never_comes_back_is_left_and_the_others_are_whole(first: int) -> None:
    gone, well = Store(), Store()
    gone.down = range(first, 1_000_000)
    running = recorder(gone, well, patience=IMPATIENT)
    running.add(range(10))
    (left,) = running.finish(complete=True)
    assert (left.sink, left.finished, left.reason) == (gone, 10, "the store is down")
    assert left.recorded < 10
    assert well.numbers == list(range(10))
    attempts = gone.attempts
    time.sleep(0.1)
    assert gone.attempts <= attempts + 1


def test_a_sink_that_does_not_answer_is_left() -> None:
    asked, answer = Event(), Event()

    class Silent(Store):
        def open(self, study: StudySpec) -> Collection[int]:
            asked.set()
            answer.wait()
            return ()

    running = recorder(Silent(), patience=IMPATIENT)
    running.add(range(10))
    asked.wait()
    (left,) = running.finish(complete=True)
    answer.set()
    assert (left.recorded, left.finished, left.reason) == (0, 10, None)


def test_a_slow_sink_delays_neither_who_adds_nor_the_other_sinks() -> None:
    slow, well = Store(), Store()
    slow.seconds = 0.1
    running = recorder(slow, well)
    running.add(range(40))
    _await(lambda: len(well.numbers) == 40)
    assert len(slow.numbers) < 40
    assert running.finish(complete=True) == []
    assert slow.numbers == list(range(40))


def test_a_sink_that_makes_progress_is_waited_for() -> None:
    slow = Store()
    slow.seconds = 0.3
    running = recorder(slow, patience=IMPATIENT)
    running.add(range(12))
    assert running.finish(complete=True) == []
    assert slow.numbers == list(range(12))


def test_no_sink_is_waited_for_without_end() -> None:
    slow = Store()
    slow.seconds = 0.05
    running = recorder(slow, patience=replace(HURRIED, all_sinks=0.3))
    running.add(range(10_000))
    (left,) = running.finish(complete=True)
    assert (left.finished, left.reason) == (10_000, None)
    assert left.recorded < 10_000


def test_a_mistake_of_a_sink_is_not_hidden() -> None:
    class Mistaken(Store):
        def add(self, trials: Sequence[TrialRecord]) -> None:
            raise KeyError("no such column")

    running = recorder(Mistaken())
    running.add([0])
    with pytest.raises(KeyError, match="no such column"):
        running.finish(complete=True)
