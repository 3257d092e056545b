"""A trial with its curve, as it is recorded."""

from datetime import datetime
from enum import StrEnum

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.packs.pack import Evaluation


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
