"""The interface of what records finished trials."""

from collections.abc import Collection, Sequence
from typing import Protocol

from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialRecord


class RecordSink(Protocol):
    """Where finished trials are recorded.

    Whatever is recorded can be recorded again: the study or the trial is replaced, not doubled.
    Every method raises RunError if the sink cannot be reached or written.
    """

    batch: int
    """How many trials it is best given at once."""
    remote: bool
    """Whether it is kept elsewhere, and may be out of reach for a while."""

    def open(self, study: StudySpec) -> Collection[int]:
        """Called before the first `add`, when a study starts or goes on, and after a failure.

        Returns the numbers of the trials that are recorded whole; what is not whole is removed.
        """

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Called with finished trials, some of which may have been added before."""

    def close(self, *, complete: bool) -> None:
        """Called when the study stops; `complete` says whether all its trials are finished."""

    def delete(self, study: str) -> None:
        """Called to remove everything recorded about a study, which may be nothing."""
