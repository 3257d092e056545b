"""A trial with its learning curve, as it is recorded."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.packs.pack import Evaluation


class TrialState(StrEnum):
    """The state of a trial."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"  # stopped early by the pruner
    DIVERGED = "diverged"  # a result: these hyperparameters do not train
    FAILED = "failed"  # no result: the pack was lost

    @property
    def finished(self) -> bool:
        """Whether the trial will not change any more."""
        return self is not TrialState.RUNNING


class TrialResult(Spec):
    """The result of one trial."""

    number: int
    """Unique in the study, from 0."""
    state: TrialState
    """Its state."""
    params: dict[str, float]
    """The searched hyperparameters."""
    value: float | None
    """Validation loss at the last evaluation, nats per token; None if there is no finite one."""
    bits_per_byte: float | None = None
    """The same in bits per byte of text; None if the corpus does not tell its bytes."""
    seed: int
    """Seed of the initial weights."""
    pack: str
    """The pack it trained in."""
    started: datetime
    """When the study asked for it, UTC."""
    finished: datetime | None
    """When it ended, UTC."""
    seconds: float
    """Its share of its pack's training time."""
    tokens: int
    """Tokens trained on."""
    flops: float
    """Floating-point operations of its training."""
    reason: str | None = None
    """Why it failed; None if it did not."""
    log: str | None = None
    """File of what a user's own trainer wrote to stderr; None for the built-in trainer."""


class TrialRecord(TrialResult):
    """One trial with its learning curve."""

    study: str
    """The study's name."""
    hyperparameters: BaseHyperparameters
    """All base hyperparameters, the searched ones among them."""
    curve: tuple[Evaluation, ...]
    """Its evaluations, by step."""

    @property
    def result(self) -> TrialResult:
        """The trial without its curve."""
        return TrialResult.model_construct(
            **{name: getattr(self, name) for name in TrialResult.model_fields}
        )


def best_of(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """The trial of the lowest loss; None where none has a loss."""
    with_value = [(trial.value, trial) for trial in trials if trial.value is not None]
    return min(with_value, key=lambda pair: pair[0])[1] if with_value else None
