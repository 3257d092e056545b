"""A pack, as it is sent to a worker, and the evaluations that come back."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt

from proxytune.config.base import Spec
from proxytune.config.experiment import ExperimentSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec

Purpose = Literal["trial", "confirmation", "check", "evidence", "coordinates"]
"""What a pack is trained for."""


class Member(Spec):
    """One trial in a pack."""

    number: int
    """The trial's number; unique in the pack."""
    seed: int
    """Seed of its initial weights."""
    hyperparameters: BaseHyperparameters
    """Its base hyperparameters."""


class Job(Spec):
    """How a pack trains that is more than a trial: resources of its own, and a time limit."""

    workers: PositiveInt = 1
    """Workers that train it together, with parameters and optimizer sharded over them."""
    one_command: bool = False
    """Whether a command of the user's own starts the workers, and gets the resources of all."""
    gpus: float | None = None
    """GPUs for each worker; None: as for the packs of the experiment."""
    activation_checkpointing: bool = False
    """Whether activations are computed again for the gradients, instead of kept."""
    deadline: float | None = None
    """When training saves its state and ends, in seconds since 1970; None: no limit."""

    @property
    def processes(self) -> int:
        """How many processes an executor starts for it."""
        return 1 if self.one_command else self.workers


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
    purpose: Purpose = "trial"
    """What it is trained for."""
    compiled: bool = False
    """Whether it trains through torch.compile, where there is a compiler."""
    job: Job = Job()
    """How it trains; its results do not depend on it."""

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
        purpose: Purpose = "trial",
        job: Job | None = None,
    ) -> Self:
        """A pack of an experiment: its proxy and its training, where nothing else is said.

        `seed` is that of the order of batches. What several processes train is not compiled.
        """
        job = job or Job()
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
            purpose=purpose,
            compiled=experiment.execution.compile == "always" and job.processes == 1,
            job=job,
        )

    def part(self, name: str, members: tuple[Member, ...]) -> Self:
        """A pack of some of the members, with its own checkpoint if this one has any."""
        checkpoint = self.checkpoint and self.checkpoint.with_stem(name)
        return self.model_copy(update={"name": name, "members": members, "checkpoint": checkpoint})

    def parts(self, size: int) -> tuple[Self, ...]:
        """The pack in parts of `size` members at most.

        The first member's number makes each name unique.
        """
        parts = [self.members[i : i + size] for i in range(0, len(self.members), size)]
        return tuple(self.part(f"{self.name}-{part[0].number}", part) for part in parts)

    def halves(self) -> tuple[Self, ...]:
        """The pack in two halves, or one part if it has one member."""
        return self.parts((len(self.members) + 1) // 2)


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
    first_loss: float | None = None
    """Training loss of the first step, nats per token; only in a member's first evaluation."""
    bits_per_byte: float | None = None
    """Validation loss in bits per byte of text; None if the corpus does not tell its bytes."""
    others: dict[str, float] = Field(default_factory=dict)
    """Further figures that a trainer of the user's own reported, by their names."""

    def starts_high(self, vocab_size: int) -> bool:
        """Whether training began more than 1 nat above ln V, the loss of a uniform guess."""
        return self.first_loss is not None and self.first_loss > math.log(vocab_size) + 1


class MemberDetails(Spec):
    """What a trainer reports about a member at its end, besides the evaluations."""

    number: int
    """The member's number."""
    step_losses: tuple[float | None, ...] | None = None
    """Training loss at every step, nats per token; a loss is None if it is not finite, and all of
    it is None if the trainer does not record it."""
    clipped_steps: int | None = None
    """Steps whose gradients were above clip_norm; None if the trainer does not record it."""
    updates: dict[str, float] | None = None
    """Relative update ‖W − W₀‖/‖W₀‖ over the whole run, by role; None if it was not measured."""
