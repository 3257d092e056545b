"""Forward multipliers folded away: settings under which a model without any trains the same.

A weight w behind a forward multiplier a, trained by AdamW with (σ, η, λ, ε), is at every step 1/a
of a weight without one, trained with (a·σ, a·η, λ/a, ε/a): the gradient of a·w is that of w over
a, and an AdamW step takes its direction from the gradient but not its size, which only ε can see.

This is exact for AdamW without clipping. It does not hold for clipping by the global norm, which
sees gradients 1/a as large, nor for SGD or Muon.
"""

import math
from collections.abc import Collection
from dataclasses import replace

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.scaling.projection import Forward, Projection, Settings
from proxytune.scaling.rules import Role


def folding_factors(
    projection: Projection, shape: Shape, kept: Collection[str] = ()
) -> dict[Role, float]:
    """The multiplier that the parameters of each role take in; roles left out take in none.

    `kept` names the forward multipliers that the model has and nothing takes in. Raises
    InputError where no weight can take a multiplier in: a tied embedding has one table for two
    multipliers, so it needs `logits` to be kept.
    """
    forward, left = projection.forward, forward_left(projection, shape, kept)
    attention = forward.attention / left.attention
    residual = forward.residual / left.residual
    factors = {
        Role.EMBEDDING: forward.embedding / left.embedding,
        Role.ATTENTION_OUT: residual,
        Role.MLP_OUT: residual,
    }
    if shape.qk_norm:
        # A norm undoes what is folded into the projection before it; its own gain is behind it.
        factors[Role.QK_NORM] = math.sqrt(attention)
    else:
        factors[Role.QUERY] = attention
    if not shape.tied:
        factors[Role.UNEMBEDDING] = forward.logits / left.logits
    elif "logits" not in kept and not math.isclose(forward.embedding, forward.logits):
        raise InputError(
            f"folded = True: the tied embedding is multiplied by {forward.embedding:g} on the way "
            f"in and by {forward.logits:g} on the way out, and one table cannot take in both; "
            "untie the target, or keep the forward multipliers"
        )
    return factors


def forward_left(projection: Projection, shape: Shape, kept: Collection[str] = ()) -> Forward:
    """The forward multipliers of a model that has only those that are `kept`.

    What a tied table takes in on the way in, logits must not be multiplied by on the way out.
    """
    forward, plain = projection.forward, plain_forward(shape)
    left = replace(plain, **{name: getattr(forward, name) for name in kept})
    if shape.tied and "logits" in kept:
        return replace(left, logits=forward.logits * left.embedding / forward.embedding)
    return left


def fold(settings: Settings, factor: float) -> Settings:
    """The settings of weights that have taken in a forward multiplier."""
    return replace(
        settings,
        init_std=None if settings.init_std is None else settings.init_std * factor,
        lr=settings.lr * factor,
        weight_decay=settings.weight_decay / factor,
        eps=settings.eps / factor,
        multiplier=1.0,
    )


def fold_projection(projection: Projection, shape: Shape) -> Projection:
    """The settings of a model without forward multipliers. Raises as `folding_factors` does."""
    factors = folding_factors(projection, shape)
    roles = {r: fold(settings, factors.get(r, 1.0)) for r, settings in projection.roles.items()}
    return Projection(roles=roles, forward=plain_forward(shape))


def plain_forward(shape: Shape) -> Forward:
    """What a model without multiplier fields does: attention at 1/√head_dim, all else at 1."""
    return Forward(
        embedding=1.0, attention=1 / math.sqrt(shape.head_dim), residual=1.0, logits=1.0
    )
