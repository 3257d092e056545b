"""Base hyperparameters and a shape -> the concrete setting of every parameter role.

Settings at the base shape, times the table's multipliers: nothing else enters. Notation: rules.py.
"""

import math
from dataclasses import dataclass

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.rules import Ratios, Role, rule_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one role trains with, or the multipliers on that."""

    init_std: float | None
    """Std of the initial weights; None for gains."""
    lr: float
    weight_decay: float
    eps: float
    multiplier: float
    """Forward multiplier on the output of the role's matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The four forward multipliers."""

    embedding: float
    """On the embedding's output."""
    attention: float
    """On q·k."""
    residual: float
    """On the output of every attention and MLP branch."""
    logits: float
    """On the logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Settings per role and the forward multipliers, absolute or relative to a base."""

    roles: dict[Role, Settings]
    forward: Forward


def roles_of(shape: Shape) -> tuple[Role, ...]:
    """The roles that a shape's parameters have; a tied shape has no unembedding weights."""
    absent = {Role.UNEMBEDDING: shape.tied, Role.QK_NORM: not shape.qk_norm}
    return tuple(role for role in Role if not absent.get(role, False))


def fan_in(shape: Shape, role: Role) -> int:
    """Fan-in of the role's matrices; d_model where the rules do not ask."""
    if role is Role.ATTENTION_OUT:
        return shape.q_dim
    return shape.d_ff if role is Role.MLP_OUT else shape.d_model


def ratios(base: Shape, target: Shape, role: Role) -> Ratios:
    """The six ratios between two shapes, for one role."""
    return Ratios(
        m_in=fan_in(target, role) / fan_in(base, role),
        m_d=target.d_model / base.d_model,
        m_L=target.n_layers / base.n_layers,
        m_h=target.head_dim / base.head_dim,
        s=_s(target.repeat) / _s(base.repeat),
        r=target.repeat / base.repeat,
    )


def multipliers(base: Shape, target: Shape, parameterization: Parameterization) -> Projection:
    """What every setting of the base is multiplied by at the target."""
    table = rule_table(parameterization)
    at = {role: ratios(base, target, role) for role in Role}
    roles = {
        role: Settings(
            init_std=table.roles[role].init_std.at(at[role]),
            lr=table.roles[role].lr.at(at[role]),
            weight_decay=table.roles[role].weight_decay.at(at[role]),
            eps=table.roles[role].eps.at(at[role]),
            multiplier=table.roles[role].multiplier.at(at[role]),
        )
        for role in roles_of(target)
    }
    forward = Forward(
        embedding=table.roles[Role.EMBEDDING].multiplier.at(at[Role.EMBEDDING]),
        attention=table.attention.at(at[Role.HIDDEN]),
        residual=table.residual.at(at[Role.HIDDEN]),
        logits=table.roles[Role.UNEMBEDDING].multiplier.at(at[Role.UNEMBEDDING]),
    )
    return Projection(roles=roles, forward=forward)


def project(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
) -> Projection:
    """The target's concrete settings.

    The repeat factor is absolute: its multipliers are 1 at r = 1, whatever the base's own is.
    """
    origin = base.at(n_kv_heads=base.n_heads)
    at_base = _settings_of_base(hyperparameters, origin, parameterization)
    by = multipliers(origin, target, parameterization)
    roles = {role: _times(at_base.roles[role], factor) for role, factor in by.roles.items()}
    forward = Forward(
        embedding=at_base.forward.embedding * by.forward.embedding,
        attention=at_base.forward.attention * by.forward.attention,
        residual=at_base.forward.residual * by.forward.residual,
        logits=at_base.forward.logits * by.forward.logits,
    )
    return Projection(roles=roles, forward=forward)


def _settings_of_base(
    hp: BaseHyperparameters, base: Shape, parameterization: Parameterization
) -> Projection:
    """The column of every rule at the base shape, where all multipliers are 1."""
    lr, decay = hp.learning_rate, hp.weight_decay

    def settings(
        init_std: float | None, lr: float, weight_decay: float = 0.0, multiplier: float = 1.0
    ) -> Settings:
        return Settings(
            init_std=init_std, lr=lr, weight_decay=weight_decay, eps=hp.eps, multiplier=multiplier
        )

    hidden = settings(hp.init_std, lr, decay)
    gain = settings(None, lr * hp.norm_lr_multiplier)
    embedding_decay = decay if parameterization.embedding_weight_decay else 0.0
    return Projection(
        roles={
            Role.EMBEDDING: settings(
                hp.embedding_init_std,
                lr * hp.embedding_lr_multiplier,
                embedding_decay,
                hp.embedding_multiplier,
            ),
            Role.QUERY: hidden,
            Role.HIDDEN: hidden,
            Role.ATTENTION_OUT: hidden,
            Role.MLP_OUT: hidden,
            Role.KV: settings(hp.init_std, lr * hp.kv_lr_multiplier, decay),
            Role.UNEMBEDDING: settings(
                hp.unembedding_init_std,
                lr * hp.unembedding_lr_multiplier,
                decay,
                hp.output_multiplier,
            ),
            Role.NORM: gain,
            Role.QK_NORM: gain,
            Role.FINAL_NORM: gain,
        },
        forward=Forward(
            embedding=hp.embedding_multiplier,
            attention=hp.attention_multiplier / math.sqrt(base.head_dim),
            residual=hp.residual_multiplier,
            logits=hp.output_multiplier,
        ),
    )


def _times(settings: Settings, by: Settings) -> Settings:
    assert by.init_std is not None
    return Settings(
        init_std=None if settings.init_std is None else settings.init_std * by.init_std,
        lr=settings.lr * by.lr,
        weight_decay=settings.weight_decay * by.weight_decay,
        eps=settings.eps * by.eps,
        multiplier=settings.multiplier * by.multiplier,
    )


def _s(repeat: int) -> float:
    """s(r) = (1 + √r)/2, [GQA]: the norm of repeated K/V weights relative to r = 1."""
    return (1 + math.sqrt(repeat)) / 2
