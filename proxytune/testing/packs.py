"""Builds small packs."""

from collections.abc import Sequence
from pathlib import Path

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.packs.pack import Member, PackSpec

TRAINING = TrainingSpec(steps=12, batch_size=4, evaluations=3, evaluation_batches=2)


def hyperparameters(learning_rate: float = 0.02, **others: float) -> BaseHyperparameters:
    """Base hyperparameters that differ from the defaults where said."""
    return BaseHyperparameters.model_validate({"learning_rate": learning_rate, **others})


def members(*settings: BaseHyperparameters, seed: int = 3) -> tuple[Member, ...]:
    """Members numbered from 0, all from one seed."""
    return tuple(
        Member(number=number, seed=seed, hyperparameters=setting)
        for number, setting in enumerate(settings)
    )


def pack(
    shape: Shape,
    tokens: Path,
    of: Sequence[Member],
    training: TrainingSpec = TRAINING,
    checkpoint: Path | None = None,
    parameterization: str = "gqa-mup",
) -> PackSpec:
    """A pack whose base is the shape at repeat factor 1."""
    return PackSpec(
        name="pack",
        shape=shape,
        base=shape.at(n_kv_heads=shape.n_heads),
        parameterization=Parameterization.model_validate(parameterization),
        training=training,
        data_seed=7,
        tokens=tokens,
        members=tuple(of),
        checkpoint=checkpoint,
    )
