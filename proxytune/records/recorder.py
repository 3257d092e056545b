"""Finished trials on their way to the sinks, off the critical path: training waits for no store.

A study's own storage holds every trial, so what waits here is numbers, and what is lost here,
with a killed driver, is found again by comparing that storage with the sinks.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.trial import TrialRecord
from proxytune.records.sink import RecordSink

Read = Callable[[Sequence[int]], Sequence[TrialRecord]]
"""Gives the records of finished trials by their numbers. Called by several threads."""

LINGER_SECONDS = 1.0
"""What finishes within this time is delivered together."""
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 30.0
"""From one attempt to the next, doubled each time."""
PATIENCE_SECONDS = 15.0
"""At the end of a run, how long a sink may make no progress before it is left."""
LONGEST_WAIT_SECONDS = 60.0
"""At the end of a run, how long it waits in all for sinks that do make progress."""


class Delivery:
    """One sink's way through the finished trials, in the order in which they finished."""

    def __init__(
        self, sink: RecordSink, study: StudySpec, finished: Sequence[int], read: Read
    ) -> None:
        """`finished` may grow while the delivery goes on."""
        self.sink = sink
        self._study, self._finished, self._read = study, finished, read
        self._there: set[int] = set()
        self._place = 0
        self._opened = False
        self.added = 0
        """Trials that this delivery has recorded."""

    @property
    def recorded(self) -> int:
        """Trials that the sink was last known to have."""
        return len(self._there)

    def advance(self) -> bool:
        """Opens the sink or, from then on, records the next few trials; False if none is left.

        Raises RunError if the sink fails. The next call then opens it again, and goes on from
        what it turns out to have.
        """
        try:
            if not self._opened:
                self._there, self._place = set(self.sink.open(self._study)), 0
                self._opened = True
                return True
            numbers = self._next()
            if numbers:
                self.sink.add(self._read(numbers))
                self._there.update(numbers)
                self.added += len(numbers)
            return bool(numbers)
        except RunError:
            self._opened = False
            raise

    def _next(self) -> list[int]:
        numbers: list[int] = []
        while self._place < len(self._finished) and len(numbers) < self.sink.batch:
            number = self._finished[self._place]
            self._place += 1
            if number not in self._there:
                numbers.append(number)
        return numbers


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A sink that does not have every trial."""

    sink: RecordSink
    recorded: int
    finished: int
    reason: str | None
    """What it failed with; None where it was only too slow."""


class Recorder:
    """Delivers to each sink in a thread of its own, until `finish`."""

    def __init__(
        self,
        study: StudySpec,
        sinks: Iterable[RecordSink],
        finished: Iterable[int],
        read: Read,
    ) -> None:
        """`finished` are the trials from before; sinks are given those that they do not have."""
        self._finished, self._ending = list(finished), Event()
        self._couriers = [
            _Courier(Delivery(sink, study, self._finished, read), self._ending) for sink in sinks
        ]
        for courier in self._couriers:
            courier.start()

    def add(self, numbers: Iterable[int]) -> None:
        """Takes trials that have finished, and are in the study's storage; returns at once."""
        self._finished += numbers

    def lacks(self, numbers: Iterable[int]) -> list[int]:
        """Those of the numbers that it has not been given."""
        given = set(self._finished)
        return [number for number in numbers if number not in given]

    def troubles(self) -> list[str]:
        """Why a sink is waited for; each sink is heard once."""
        return [trouble for courier in self._couriers if (trouble := courier.first_trouble())]

    def finish(self, *, complete: bool) -> list[Undelivered]:
        """Waits for sinks that make progress; returns those that are left without some trials.

        `complete` says whether all the study's trials are finished.
        """
        for courier in self._couriers:
            courier.complete = complete
        self._ending.set()
        began = time.monotonic()
        return [left for courier in self._couriers if (left := self._await(courier, began))]

    def abandon(self) -> None:
        """Delivers nothing more, and closes nothing."""
        for courier in self._couriers:
            courier.dismissed = True
        self._ending.set()

    def _await(self, courier: "_Courier", began: float) -> Undelivered | None:
        while courier.is_alive():
            courier.join(0.1)
            now = time.monotonic()
            stuck = now - max(began, courier.progress) > PATIENCE_SECONDS
            if stuck or now - began > LONGEST_WAIT_SECONDS:
                courier.dismissed = True
                break
        if courier.mistake is not None:
            raise courier.mistake
        if courier.done:
            return None
        delivery = courier.delivery
        return Undelivered(delivery.sink, delivery.recorded, len(self._finished), courier.trouble)


class _Courier(Thread):
    """Delivers, waits for more, and tries again when the sink fails."""

    def __init__(self, delivery: Delivery, ending: Event) -> None:
        # A daemon: a store that never answers must not keep the process from ending.
        super().__init__(name=f"courier to {delivery.sink}", daemon=True)
        self.delivery, self._ending = delivery, ending
        self.progress = time.monotonic()
        self.complete = False
        """How to close the sink, once all is ending."""
        self.done = self.dismissed = self._heard = False
        self.trouble: str | None = None
        """What the last attempt failed with."""
        self.mistake: BaseException | None = None
        """What should not have happened."""

    def run(self) -> None:
        try:
            self._deliver()
        except BaseException as mistake:
            self.mistake = mistake

    def first_trouble(self) -> str | None:
        """What it fails with, the first time this is asked."""
        if self._heard or self.trouble is None:
            return None
        self._heard = True
        return self.trouble

    def _deliver(self) -> None:
        pause = RETRY_SECONDS
        while not (self.done or self.dismissed):
            try:
                self._advance()
                self.trouble, pause = None, RETRY_SECONDS
            except RunError as error:
                self.trouble = str(error)
                if self._ending.wait(pause):
                    time.sleep(RETRY_SECONDS)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    def _advance(self) -> None:
        # Asked first: what finished before the end is then delivered before it.
        ending, added = self._ending.is_set(), self.delivery.added
        if self.delivery.advance():
            # Opening a sink that fails again and again is no progress.
            if self.delivery.added > added:
                self.progress = time.monotonic()
        elif not ending:
            self._ending.wait(LINGER_SECONDS)
        else:
            self.delivery.sink.close(complete=self.complete)
            self.done = True
