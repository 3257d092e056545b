"""Forward multipliers folded away: settings under which a model without any trains the same.

A weight w behind a forward multiplier a, trained by AdamW with (σ, η, λ, ε), is at every step 1/a
of a weight without one, trained with (a·σ, a·η, λ/a, ε/a): the gradient of a·w is that of w over
a, and an AdamW step takes its direction from the gradient but not its size, which only ε can see.

This is exact for AdamW without clipping. It does not hold for clipping by the global norm, which
sees gradients 1/a as large, nor for SGD or Muon.
"""

import math
from dataclasses import replace

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.scaling.projection import Forward, Projection, Settings
from proxytune.scaling.rules import Role


def folding_factors(projection: Projection, shape: Shape) -> dict[Role, float]:
    """The multiplier that the parameters of each role take in; roles left out take in none.

    Raises InputError where no weight can take a multiplier in: a tied embedding has one table
    for two multipliers.
    """
    forward, plain = projection.forward, plain_forward(shape)
    attention = forward.attention / plain.attention
    factors = {
        Role.EMBEDDING: forward.embedding,
        Role.ATTENTION_OUT: forward.residual,
        Role.MLP_OUT: forward.residual,
    }
    if shape.qk_norm:
        # A norm undoes what is folded into the projection before it; its own gain is behind it.
        factors[Role.QK_NORM] = math.sqrt(attention)
    else:
        factors[Role.QUERY] = attention
    if not shape.tied:
        factors[Role.UNEMBEDDING] = forward.logits
    elif not math.isclose(forward.embedding, forward.logits):
        raise InputError(
            f"folded = True: the tied embedding is multiplied by {forward.embedding:g} on the way "
            f"in and by {forward.logits:g} on the way out, and one table cannot take in both; "
            "untie the target, or keep the forward multipliers"
        )
    return factors


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


def plain_forward(shape: Shape) -> Forward:
    """What a model without multiplier fields does: attention at 1/√head_dim, all else at 1."""
    return Forward(
        embedding=1.0, attention=1 / math.sqrt(shape.head_dim), residual=1.0, logits=1.0
    )
