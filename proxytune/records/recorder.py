"""Delivers finished trials to the sinks in threads of its own, so training never waits for them.

The study's storage holds every trial, so only numbers wait here. If the driver is killed, what
was not delivered is found by comparing the storage with the sinks.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.trial import TrialRecord
from proxytune.patience import Patience
from proxytune.records.sink import RecordSink

Read = Callable[[Sequence[int]], Sequence[TrialRecord]]
"""Returns the records of finished trials, given their numbers. Several threads call it."""


class Delivery:
    """The delivery of all finished trials to one sink, in the order in which they finished."""

    def __init__(
        self, sink: RecordSink, study: StudySpec, finished: Sequence[int], read: Read
    ) -> None:
        """`finished` may grow during the delivery."""
        self.sink = sink
        self._study, self._finished, self._read = study, finished, read
        self._there: set[int] = set()
        self._place = 0
        self._opened = False
        self.added = 0
        """Trials that this delivery has recorded."""

    @property
    def recorded(self) -> int:
        """Number of trials that the sink was last known to have."""
        return len(self._there)

    def advance(self) -> bool:
        """Opens the sink at first, then records the next few trials; False if none are left.

        Raises RunError if the sink fails. The next call then opens it again, and continues with
        the trials that it does not have.
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
    """Its last error; None if it was only too slow."""


class Recorder:
    """Delivers to each sink in a thread of its own, until `finish`."""

    def __init__(
        self,
        study: StudySpec,
        sinks: Iterable[RecordSink],
        finished: Iterable[int],
        read: Read,
        patience: Patience = Patience(),
    ) -> None:
        """`finished` are the earlier trials; each sink gets those that it does not have."""
        self._finished, self._ending = list(finished), Event()
        self._patience = patience
        self._threads = [
            _DeliveryThread(Delivery(sink, study, self._finished, read), self._ending, patience)
            for sink in sinks
        ]
        for thread in self._threads:
            thread.start()

    def add(self, numbers: Iterable[int]) -> None:
        """Queues trials that have finished and are in the study's storage; returns at once."""
        self._finished += numbers

    def lacks(self, numbers: Iterable[int]) -> list[int]:
        """Which of these numbers have not been added yet."""
        given = set(self._finished)
        return [number for number in numbers if number not in given]

    def troubles(self) -> list[str]:
        """The errors of sinks that fail; each sink is reported once."""
        return [trouble for thread in self._threads if (trouble := thread.first_trouble())]

    def finish(self, *, complete: bool) -> list[Undelivered]:
        """Waits for sinks that make progress; returns those that still lack trials.

        `complete` says whether all the study's trials are finished.
        """
        for thread in self._threads:
            thread.complete = complete
        self._ending.set()
        began = time.monotonic()
        return [left for thread in self._threads if (left := self._await(thread, began))]

    def abandon(self) -> None:
        """Stops all deliveries, without closing the sinks."""
        for thread in self._threads:
            thread.dismissed = True
        self._ending.set()

    def _await(self, thread: "_DeliveryThread", began: float) -> Undelivered | None:
        while thread.is_alive():
            thread.join(0.1)
            now = time.monotonic()
            stuck = now - max(began, thread.progress) > self._patience.sink
            if stuck or now - began > self._patience.all_sinks:
                thread.dismissed = True
                break
        if thread.mistake is not None:
            raise thread.mistake
        if thread.done:
            return None
        delivery = thread.delivery
        return Undelivered(delivery.sink, delivery.recorded, len(self._finished), thread.trouble)


class _DeliveryThread(Thread):
    """Delivers to one sink, waits for more trials, and retries when the sink fails."""

    def __init__(self, delivery: Delivery, ending: Event, patience: Patience) -> None:
        # A daemon, so that a store that never answers cannot keep the process alive.
        super().__init__(name=f"delivery to {delivery.sink}", daemon=True)
        self.delivery, self._ending, self._patience = delivery, ending, patience
        self.progress = time.monotonic()
        self.complete = False
        """What to pass to `close` at the end."""
        self.done = self.dismissed = self._heard = False
        self.trouble: str | None = None
        """The error of the last attempt."""
        self.mistake: BaseException | None = None
        """An unexpected error, to be raised in the main thread."""

    def run(self) -> None:
        try:
            self._deliver()
        except BaseException as mistake:
            self.mistake = mistake

    def first_trouble(self) -> str | None:
        """Its current error, only the first time that there is one."""
        if self._heard or self.trouble is None:
            return None
        self._heard = True
        return self.trouble

    def _deliver(self) -> None:
        pause = self._patience.retry
        while not (self.done or self.dismissed):
            try:
                self._advance()
                self.trouble, pause = None, self._patience.retry
            except RunError as error:
                self.trouble = str(error)
                if self._ending.wait(pause):
                    time.sleep(self._patience.retry)
                pause = min(2 * pause, self._patience.longest_retry)

    def _advance(self) -> None:
        # Read first, so that trials that finished before the end are delivered.
        ending, added = self._ending.is_set(), self.delivery.added
        if self.delivery.advance():
            # Opening a sink again and again does not count as progress.
            if self.delivery.added > added:
                self.progress = time.monotonic()
        elif not ending:
            self._ending.wait(self._patience.linger)
        else:
            self.delivery.sink.close(complete=self.complete)
            self.done = True
