"""A finished trial as it is recorded, and the interface of what records it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from proxytune.spec.base import Spec
from proxytune.spec.hyperparameters import BaseHyperparameters
from proxytune.spec.pack import Evaluation
from proxytune.spec.study import StudySpec


class TrialState(StrEnum):
    """How a trial stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"  # stopped early by the pruner
    DIVERGED = "diverged"  # a result: these hyperparameters do not train
    FAILED = "failed"  # no result: the pack was lost

    @property
    def finished(self) -> bool:
        """Whether the trial will not change any more."""
        return self is not TrialState.RUNNING


class TrialRecord(Spec):
    """One trial with its curve."""

    study: str
    """The study's name."""
    number: int
    """Unique in the study, from 0."""
    state: TrialState
    """How it ended."""
    params: dict[str, float]
    """The searched hyperparameters."""
    hyperparameters: BaseHyperparameters
    """All base hyperparameters, the searched ones among them."""
    value: float | None
    """Validation loss after the last evaluation, nats a token; None without a finite one."""
    seed: int
    """Seed of the initial weights."""
    pack: str
    """The pack it trained in."""
    started: datetime
    """When it was asked for, UTC."""
    finished: datetime | None
    """When it ended, UTC."""
    seconds: float
    """Its share of its pack's training time."""
    tokens: int
    """Tokens trained on."""
    flops: float
    """Floating-point operations of its training."""
    curve: tuple[Evaluation, ...]
    """Its evaluations, by step."""


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
