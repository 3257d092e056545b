"""settings.json: all that a trainer of the user's own is told about the run that it trains."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.packs.pack import PackSpec, Purpose
from proxytune.scaling.folding import fold, folding_factors, plain_forward
from proxytune.scaling.projection import Forward, Settings, project
from proxytune.scaling.rules import Role


class RoleSettings(Spec):
    """What the parameters of one role train with."""

    init_std: float | None
    """Std of the initial weights; null for gains, which start at `init`."""
    init: float | None
    """Initial value of gains; null for weights, which are drawn."""
    lr: float
    """Peak learning rate; the schedule multiplies it."""
    weight_decay: float
    """Each step removes lr · weight_decay · w, as torch.optim.AdamW does."""
    eps: float
    """AdamW's ε."""
    betas: tuple[float, float]
    """AdamW's β₁ and β₂."""


class Folded(Spec):
    """The same settings for a model without forward multipliers."""

    forward: Forward
    """What such a model does: attention at 1/√head_dim, all else at 1."""
    roles: dict[Role, RoleSettings]
    """By role."""
    exact: bool
    """Whether training is the same: not with clipping, which sees other gradients."""


class TrainerSettings(Spec):
    """One run, as settings.json tells it; contract version 1."""

    schema_version: Literal[1] = 1
    """Version of the contract."""
    study: str
    """Name of the study or evidence run."""
    trial: int
    """The trial's number."""
    seed: int
    """Seed of the initial weights."""
    data_seed: int
    """Seed of the order of batches."""
    purpose: Purpose
    """What the run is for."""
    resume: bool
    """Whether an earlier attempt may have left a checkpoint in the run's folder."""
    shape: Shape
    """The shape to train."""
    base: Shape
    """The shape at which every multiplier is 1."""
    training: dict[str, JsonValue]
    """The training block, and what follows from it: `evaluation_steps`, after which
    validation_loss is to be reported, and `warmup_steps`."""
    hyperparameters: BaseHyperparameters
    """Base hyperparameters, as searched."""
    parameterization: Parameterization
    """The scaling rules."""
    forward: Forward
    """The forward multipliers."""
    roles: dict[Role, RoleSettings]
    """Settings by role."""
    folded: Folded | None
    """The same without forward multipliers; null where no setting can express it."""
    not_folded: str | None
    """Why `folded` is null."""
    data: dict[str, JsonValue]
    """The data block as given."""
    tokens: str
    """Folder of the tokens that proxytune made of it."""


def trainer_settings(
    pack: PackSpec, study: str, data: Mapping[str, Any], *, resume: bool = False
) -> TrainerSettings:
    """What a trainer is told about a pack of one; `data` is the data block as plain values."""
    (member,) = pack.members
    given = member.hyperparameters
    projection = project(given, pack.base, pack.shape, pack.parameterization)
    betas = (given.beta1, given.beta2)
    folded, not_folded = None, None
    try:
        factors = folding_factors(projection, pack.shape)
        folded = Folded(
            forward=plain_forward(pack.shape),
            roles={
                role: _role(fold(of_role, factors.get(role, 1.0)), betas, factors.get(role, 1.0))
                for role, of_role in projection.roles.items()
            },
            exact=pack.training.clip_norm is None,
        )
    except InputError as error:
        not_folded = str(error)
    return TrainerSettings(
        study=study,
        trial=member.number,
        seed=member.seed,
        data_seed=pack.data_seed,
        purpose=pack.purpose,
        resume=resume,
        shape=pack.shape,
        base=pack.base,
        training=pack.training.model_dump(mode="json")
        | {
            "evaluation_steps": list(pack.training.evaluation_steps()),
            "warmup_steps": round(given.warmup_fraction * pack.training.steps),
        },
        hyperparameters=given,
        parameterization=pack.parameterization,
        forward=projection.forward,
        roles={role: _role(of_role, betas, 1.0) for role, of_role in projection.roles.items()},
        folded=folded,
        not_folded=not_folded,
        data=dict(data),
        tokens=str(pack.tokens),
    )


def _role(settings: Settings, betas: tuple[float, float], factor: float) -> RoleSettings:
    gain = settings.init_std is None
    return RoleSettings(
        init_std=settings.init_std,
        init=factor if gain else None,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        eps=settings.eps,
        betas=betas,
    )
