"""A pack on its way to a worker, and what comes back: the contract of search and training."""

from pathlib import Path
from typing import Self

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec


class Member(Spec):
    """One trial in a pack."""

    number: int
    """The trial's number; unique in the pack."""
    seed: int
    """Seed of its initial weights."""
    hyperparameters: BaseHyperparameters
    """Its base hyperparameters."""


class PackSpec(Spec):
    """Trials of one shape that train together as one batched model, on the same batches."""

    name: str
    """Unique in the study; names the checkpoint."""
    shape: Shape
    """The shape that is trained."""
    base: Shape
    """The shape at which every multiplier is 1."""
    parameterization: Parameterization
    """The scaling rules."""
    training: TrainingSpec
    """Length, batch and schedule."""
    data_seed: int
    """Seed of the order of batches."""
    tokens: Path
    """Folder of the token cache."""
    members: tuple[Member, ...]
    """The trials."""
    checkpoint: Path | None = None
    """File that the pack's state is kept in, atomically, at every evaluation; None: nowhere."""
    threads: int = 1
    """CPU threads."""

    def of(self, name: str, members: tuple[Member, ...]) -> Self:
        """Some of the members as a pack of their own, with a checkpoint of its own if any."""
        checkpoint = self.checkpoint and self.checkpoint.with_stem(name)
        return self.model_copy(update={"name": name, "members": members, "checkpoint": checkpoint})

    def halves(self) -> tuple[Self, ...]:
        """The pack in two, or as it is if there is one member.

        Each half is named by its first member, who is in no other pack of that name.
        """
        middle = (len(self.members) + 1) // 2
        parts = (self.members[:middle], self.members[middle:])
        return tuple(self.of(f"{self.name}-{part[0].number}", part) for part in parts if part)


class Evaluation(Spec):
    """One member at one evaluation."""

    number: int
    """The member's number."""
    step: int
    """Optimizer steps done."""
    tokens: int
    """Tokens trained on."""
    train_loss: float | None
    """Mean training loss since the evaluation before, nats a token; None if not finite."""
    validation_loss: float | None
    """Validation loss, nats a token; None if not finite."""
    grad_norm: float | None
    """Gradient norm at this step, before clipping; None if not finite."""
    lr_factor: float
    """Learning rate at this step over its peak."""
    seconds: float
    """The member's share of the pack's time since its start."""
    diverged: bool = False
    """The loss was not finite, or too high to come back."""
