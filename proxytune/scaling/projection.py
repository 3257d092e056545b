"""Base hyperparameters and a shape -> the concrete setting of every parameter role.

Settings at the base shape, times the table's multipliers: nothing else enters. Notation: rules.py.
"""

import math
from dataclasses import dataclass

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.rules import KV_ROLES, Ratios, Role, rule_table


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


def fan_out(shape: Shape, role: Role) -> int:
    """Fan-out of the role's matrices, of K and V in repeated form; d_model where nobody asks."""
    if role is Role.QUERY or role in KV_ROLES:
        return shape.q_dim
    if role is Role.UNEMBEDDING:
        return shape.vocab_size
    return shape.d_ff if role is Role.HIDDEN else shape.d_model


def ratios(base: Shape, target: Shape, role: Role) -> Ratios:
    """The seven ratios between two shapes, for one role."""
    return Ratios(
        m_in=fan_in(target, role) / fan_in(base, role),
        m_d=target.d_model / base.d_model,
        m_L=target.n_layers / base.n_layers,
        m_h=target.head_dim / base.head_dim,
        s=_s(target.repeat) / _s(base.repeat),
        r=target.repeat / base.repeat,
        a=_aspect(target, role) / _aspect(base, role),
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

    Without a row for K and V together where their learning rates have different multipliers. The
    repeat factor is absolute: its multipliers are 1 at r = 1, whatever the base's own is.
    """
    # Tying is no ratio between shapes, and what is tied is the target.
    origin = base.at(n_kv_heads=base.n_heads, tied=target.tied)
    at_base = _settings_of_base(hyperparameters, origin, parameterization)
    by = multipliers(origin, target, parameterization)
    roles = {
        role: _times(at_base.roles[role], factor)
        for role, factor in by.roles.items()
        if role in at_base.roles
    }
    forward = Forward(
        embedding=at_base.forward.embedding * by.forward.embedding,
        attention=at_base.forward.attention * by.forward.attention,
        residual=at_base.forward.residual * by.forward.residual,
        logits=at_base.forward.logits * by.forward.logits,
    )
    return Projection(roles=roles, forward=forward)


def embedding_decays(shape: Shape, parameterization: Parameterization) -> bool:
    """Whether the token table decays: a tied one does, as the output head that it is too.

    Untied, the head decays and the embedding does not. The published code of [CP] decays a tied
    table as well.
    """
    tied = shape.tied and parameterization.rules_version > 1
    return parameterization.embedding_weight_decay or tied


def _settings_of_base(
    hp: BaseHyperparameters, base: Shape, parameterization: Parameterization
) -> Projection:
    """The column of every rule at the base shape, where all multipliers are 1."""
    decay = hp.weight_decay
    keeps_decay = parameterization.rules_version > 1

    def settings(
        init_std: float | None,
        lr_multiplier: float = 1.0,
        weight_decay: float = 0.0,
        multiplier: float = 1.0,
    ) -> Settings:
        """lr · weight_decay is ηλ, whatever multiplies the learning rate."""
        return Settings(
            init_std=init_std,
            lr=hp.learning_rate * lr_multiplier,
            weight_decay=weight_decay / lr_multiplier if keeps_decay else weight_decay,
            eps=hp.eps,
            multiplier=multiplier,
        )

    hidden = settings(hp.init_std, weight_decay=decay)
    gain = settings(None, hp.norm_lr_multiplier)
    decays = embedding_decays(base, parameterization)
    key, value = (
        settings(hp.init_std, hp.kv_lr_multiplier * own, decay)
        for own in (hp.key_lr_multiplier, hp.value_lr_multiplier)
    )
    together = {Role.KV: key} if key == value else {}
    return Projection(
        roles={
            Role.EMBEDDING: settings(
                hp.embedding_init_std,
                hp.embedding_lr_multiplier,
                decay if decays else 0.0,
                hp.embedding_multiplier,
            ),
            Role.QUERY: hidden,
            Role.KEY: key,
            Role.VALUE: value,
            **together,
            Role.HIDDEN: hidden,
            Role.ATTENTION_OUT: hidden,
            Role.MLP_OUT: hidden,
            Role.UNEMBEDDING: settings(
                hp.unembedding_init_std,
                hp.unembedding_lr_multiplier,
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


def _aspect(shape: Shape, role: Role) -> float:
    """a = min(1, √(o/n)) of fan-out o and fan-in n: [SC], section 3."""
    return min(1.0, math.sqrt(fan_out(shape, role) / fan_in(shape, role)))


def _s(repeat: int) -> float:
    """s(r) = (1 + √r)/2, [GQA]: the norm of repeated K/V weights relative to r = 1."""
    return (1 + math.sqrt(repeat)) / 2
