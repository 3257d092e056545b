"""A pack on its way to a worker, and what comes back: the contract of search and training."""

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
        """Some of the members as a pack of their own, with a checkpoint of its own if any."""
        checkpoint = self.checkpoint and self.checkpoint.with_stem(name)
        return self.model_copy(update={"name": name, "members": members, "checkpoint": checkpoint})

    def halves(self) -> tuple[Self, ...]:
        """The pack in two, or as it is if there is one member.

        Each half is named by its first member, who is in no other pack of that name.
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


class MemberDetails(Spec):
    """What a member has to tell at its end, besides its evaluations."""

    number: int
    """The member's number."""
    step_losses: tuple[float | None, ...] | None = None
    """Training loss at every step, nats per token, None where it is not finite; None in all where
    the trainer does not know them."""
    updates: dict[str, float] | None = None
    """Relative update ‖W − W₀‖/‖W₀‖ over the whole run, by role; None if it was not measured."""
