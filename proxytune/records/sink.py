"""The interface of stores that record finished trials."""

from collections.abc import Collection, Sequence
from typing import Protocol

from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialRecord


class RecordSink(Protocol):
    """Where finished trials are recorded.

    Recording a study or a trial again replaces it and never duplicates it. Every method raises
    RunError if the sink cannot be reached or written.
    """

    batch: int
    """How many trials to pass to `add` at a time."""
    remote: bool
    """Whether it is on another machine and may be unreachable for a while."""

    def open(self, study: StudySpec) -> Collection[int]:
        """Called before the first `add`, when a study starts or resumes, and after a failure.

        Returns the numbers of the trials that are recorded completely, and removes the others.
        """

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Called with finished trials; some may be recorded already."""

    def close(self, *, complete: bool) -> None:
        """Called when the study stops; `complete` says whether all its trials are finished."""

    def delete(self, study: str) -> None:
        """Called to remove everything recorded about a study, if there is anything."""
