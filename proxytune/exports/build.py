"""A projection -> the neutral document, with the parameter names of one trainer."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxytune.config.horizon import RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.exports.document import Clip, Dropped, ExportDocument, Group, Schedule
from proxytune.scaling.folding import fold, folding_factors, forward_left
from proxytune.scaling.projection import Projection, Settings, fan_in
from proxytune.scaling.report import ScalingReport
from proxytune.scaling.rules import GAIN_ROLES, Role

Names = Mapping[str, Role | str]
"""Shell pattern of weights' names -> role. The first that matches counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """A study's settings at a target, before any format."""

    study: str
    """The study's name."""
    target: str
    """The target's name."""
    scaling: ScalingReport
    """Its settings, not multipliers."""
    training: TrainingSpec
    """What the study trained with."""
    config: Mapping[str, Any] | None = None
    """The target's own config.json, if it was read from one."""
    run: RunLength = field(default_factory=RunLength)
    """The target's planned run."""
    folded: bool = False
    """For a model without forward multipliers, where the format leaves the choice."""

    @property
    def hyperparameters(self) -> BaseHyperparameters:
        """What was projected, as horizon rules make it for the target's run."""
        at = self.scaling.horizon
        values = (at and at.values) or self.scaling.hyperparameters
        assert values is not None
        return values


def build_document(
    projected: Projected,
    trainer: str,
    names: Names,
    *,
    kept: Collection[str] = (),
    biases: bool = False,
    dropped: Sequence[Dropped] = (),
) -> ExportDocument:
    """The document of a trainer whose models have the forward multipliers that are `kept`.

    Weights take in the others. `biases`: whether matrices may have biases. Raises InputError
    where no weight can take a multiplier in.
    """
    scaling, hp, training = projected.scaling, projected.hyperparameters, projected.training
    shape = scaling.target
    projection = Projection(roles=scaling.roles, forward=scaling.forward)
    factors = folding_factors(projection, shape, kept)
    groups = [
        _group(projected, str(role), role, names, factors.get(role, 1.0), ".weight")
        for role in scaling.roles
        if role in names.values()
    ]
    if biases:
        groups += [
            _group(projected, f"{role} bias", role, names, factors.get(role, 1.0), ".bias")
            for role in scaling.roles
            if role in names.values() and role is not Role.EMBEDDING
        ]
    return ExportDocument(
        study=projected.study,
        target=projected.target,
        trainer=trainer,
        shape=shape,
        parameterization=scaling.parameterization,
        hyperparameters=hp,
        folded=not set(kept) - {"logits"},
        forward=forward_left(projection, shape, kept),
        groups=tuple(groups),
        clip=_clip(training.clip_norm, [group.clip_scale for group in groups]),
        schedule=Schedule(
            kind=training.schedule,
            warmup_fraction=hp.warmup_fraction,
            final_lr_fraction=training.final_lr_fraction,
            decay_fraction=training.decay_fraction,
        ),
        run=projected.run,
        horizon=scaling.horizon,
        dropped=tuple(dropped),
    )


def kept_when_folded(shape: Shape) -> tuple[str, ...]:
    """What no weight can take in: a tied table is used twice, so its logits need a multiplier."""
    return ("logits",) if shape.tied else ()


def of_weights(names: Names) -> Names:
    """The patterns of weights alone, of patterns for weights and biases."""
    return {
        pattern.removesuffix(".*").removesuffix(".weight") + ".weight": r
        for pattern, r in names.items()
    }


def _group(
    projected: Projected, label: str, role: Role, names: Names, factor: float, ending: str
) -> Group:
    """A role's weights (ending .weight) or biases, which start at 0 and train as gains do."""
    shape, hp = projected.scaling.target, projected.hyperparameters
    bias, gain = ending == ".bias", role in GAIN_ROLES
    settings = fold(projected.scaling.roles[_row(role, bias)], factor)
    weights = [pattern for pattern, of in names.items() if of == role]
    own = tuple(p.removesuffix(".weight") + ending if bias else p for p in weights)
    return Group(
        role=label,
        patterns=own,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        betas=(hp.beta1, hp.beta2),
        eps=settings.eps,
        init_std=None if bias else settings.init_std,
        init_value=0.0 if bias else _start(settings, factor),
        clip_scale=factor,
        rows=shape.kv_dim if role in (Role.KEY, Role.VALUE) and not bias else None,
        columns=None if bias or gain else fan_in(shape, role),
    )


def _start(settings: Settings, factor: float) -> float | None:
    return factor if settings.init_std is None else None


def _row(role: Role, bias: bool) -> Role:
    """A bias follows the norm gains beside it, as in `models.roles.Parameter.row`."""
    if not bias or role in GAIN_ROLES:
        return role
    return Role.FINAL_NORM if role is Role.UNEMBEDDING else Role.NORM


def _clip(norm: float | None, scales: Sequence[float]) -> Clip:
    plain = norm is None or all(math.isclose(scale, 1.0) for scale in scales)
    if norm is None:
        says = "the study trained without"
    elif plain:
        says = f"by the global norm at {norm:g}, as in the study"
    else:
        says = (
            f"the study clipped at {norm:g}, but folded gradients have another norm, so clipping "
            "by the global norm at that number would clip other steps than the study did"
        )
    return Clip(norm=norm, plain=plain, says=says)
