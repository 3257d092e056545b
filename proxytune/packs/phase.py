"""The long phases of a command, as workflows tell of them and as a display shows them."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """What a command does now, and how far it is; it lasts until another one is told."""

    name: str
    """In words, such as "starting Ray"."""
    done: float = 0.0
    """Work done, in any unit."""
    total: float | None = None
    """All work of the phase, in the same unit; None if it is not known."""
    left: float | None = None
    """Seconds until the work is done, by the pace so far; None if that is not known yet."""
    note: str = ""
    """A fact that is worth a line of its own, if there is one."""


OnPhase = Callable[[Phase], object]
"""Told whenever a phase begins or gets on."""


class Pace:
    """How fast work is done, from when it began: start-up is not work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._began: float | None = None
        self._before = 0.0

    def begin(self, done: float = 0.0, ago: float = 0.0) -> None:
        """Work began `ago` seconds ago, with so much of it done; only the first call counts."""
        if self._began is None:
            self._began, self._before = self._clock() - ago, done

    def left(self, done: float, total: float) -> float | None:
        """Seconds until all is done; None as long as nothing was done since the beginning."""
        if self._began is None or done <= self._before:
            return None
        return (total - done) * (self._clock() - self._began) / (done - self._before)
