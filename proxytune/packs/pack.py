"""A pack, as it is sent to a worker, and the evaluations that come back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from proxytune.config.base import Spec
from proxytune.config.experiment import ExperimentSpec
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
    """The shape to train."""
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
    """File for the pack's state, replaced atomically at every evaluation; None: no file."""
    threads: int = 1
    """CPU threads."""
    details: bool = False
    """Whether the members' details are asked for at the end: a check judges by them."""

    @classmethod
    def of_experiment(
        cls,
        experiment: ExperimentSpec,
        name: str,
        members: Sequence[Member],
        *,
        parameterization: Parameterization,
        tokens: Path,
        seed: int,
        shape: Shape | None = None,
        training: TrainingSpec | None = None,
        checkpoint: Path | None = None,
        details: bool = False,
    ) -> Self:
        """A pack of an experiment: its proxy and its training, where nothing else is said.

        `seed` is that of the order of batches.
        """
        return cls(
            name=name,
            shape=shape or experiment.proxy,
            base=experiment.base,
            parameterization=parameterization,
            training=training or experiment.training,
            data_seed=seed,
            tokens=tokens,
            members=tuple(members),
            checkpoint=checkpoint,
            threads=experiment.execution.cpus_per_pack,
            details=details,
        )

    def part(self, name: str, members: tuple[Member, ...]) -> Self:
        """A pack of some of the members, with its own checkpoint if this one has any."""
        checkpoint = self.checkpoint and self.checkpoint.with_stem(name)
        return self.model_copy(update={"name": name, "members": members, "checkpoint": checkpoint})

    def halves(self) -> tuple[Self, ...]:
        """The pack in two halves, or one part if it has one member.

        The first member's number makes each name unique.
        """
        middle = (len(self.members) + 1) // 2
        parts = (self.members[:middle], self.members[middle:])
        return tuple(self.part(f"{self.name}-{part[0].number}", part) for part in parts if part)


class Evaluation(Spec):
    """One member at one evaluation."""

    number: int
    """The member's number."""
    step: int
    """Optimizer steps done."""
    tokens: int
    """Tokens trained on."""
    train_loss: float | None
    """Mean training loss since the previous evaluation, nats per token; None if not finite."""
    validation_loss: float | None
    """Validation loss, nats per token; None if not finite."""
    grad_norm: float | None
    """Gradient norm at this step, before clipping; None if not finite."""
    lr_factor: float
    """Learning rate at this step, as a fraction of its peak."""
    seconds: float
    """The member's share of the pack's time since its start."""
    diverged: bool = False
    """Whether the loss was not finite, or above the limit."""


class MemberDetails(Spec):
    """What a trainer reports about a member at its end, besides the evaluations."""

    number: int
    """The member's number."""
    step_losses: tuple[float | None, ...] | None = None
    """Training loss at every step, nats per token; a loss is None if it is not finite, and all of
    it is None if the trainer does not record it."""
    updates: dict[str, float] | None = None
    """Relative update ‖W − W₀‖/‖W₀‖ over the whole run, by role; None if it was not measured."""
