"""How every size should scale: the expected slopes of a coordinate check.

The theory gives each size up to a constant; the expected slope is that of this prediction over the
very shapes that were measured, so it need not be a power: s(r) = (1 + √r)/2 is none. Some sizes
are sums of parts that scale differently, and are expected anywhere between the slopes of the
parts.

Notation: n = fan-in, o = fan-out (of K and V repeated: n_heads · head_dim), σ and η = init std and
learning rate of the role, and x = a layer's input, of RMS 1 behind its norm.
    ‖W‖ = σ(√o + √n)            a Gaussian matrix; stacked r times: √r σ(√(o/r) + √n)
    ‖W‖_E = σ√o                 for an x that does not depend on W
    ‖ΔW‖ = η√(o·n)              a sign-like update along x, which AdamW's is early on
    ‖ΔW‖_E = η√(o·n)            for an x along the update; less by √n for one at random
    RMS(Wx) = σ√n
    RMS(ΔW·x) = ηn              for an x along the update; less by √n for one at random
Inputs of the attention output repeat along with the values, so their random part is less by √(n/r)
alone. K and V change between their rule and none: the r heads that share a row pull in different
directions.
Attention logits: entries of q and k are of order 1, unrelated at init and aligned after training,
so q·k grows as √head_dim or as head_dim. Gradients of q and k are sums over v·dy, likewise: at
init they are less by √head_dim than after training, for which ε is made. A gain on q or k is
shared by all heads: at init their gradients are unrelated, and less by √n_heads; the more heads,
the more its steps agree, so that it moves by up to √n_heads more.
Flat at every width, depth and repeat factor, whatever the rules: the change of every activation,
‖ΔW‖/‖W‖, the entropy of attention, and ε over the RMS of the gradient.
Sources: arXiv 2310.17813, section 3; alignment, arXiv 2407.05872; GQA-μP, arXiv 2605.15290.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proxytune.config.axis import AxisName, coordinate
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import ATTENTION_LOGITS
from proxytune.coordinates.sizes import Quantity
from proxytune.scaling.projection import Forward, Settings, fan_in, fan_out, project
from proxytune.scaling.rules import GAIN_ROLES, HIDDEN_ROLES, KV_ROLES, Role

FLAT = (1.0,)
_QUERY_KEY = (Role.QUERY, Role.KEY, Role.KV)
"""Matrices whose gradients pass q·k; K/V together are half of it."""
_UPDATES = (Quantity.UPDATE_EXPECTED, Quantity.RELATIVE_UPDATE_EXPECTED)


@dataclass(frozen=True, slots=True)
class Expected:
    """The slope that the theory gives, and how far it may lie from there."""

    slope: float
    low: float
    high: float


def expected_slope(
    role: str,
    quantity: Quantity,
    axis: AxisName,
    shapes: Sequence[Shape],
    base: Shape,
    parameterization: Parameterization,
) -> Expected:
    """The slope of the predicted size over the shapes.

    What must hold does not depend on what is tested: a narrower parameterization than gqa-mup is
    held against gqa-mup too. Only the options are a choice, and have exponents of their own.
    """
    kv_rule = parameterization.kv_rule if parameterization.name == "gqa-mup" else "none"
    reference = parameterization.model_copy(update={"name": "gqa-mup", "kv_rule": kv_rule})
    sizes = [_sizes(role, quantity, shape, base, reference) for shape in shapes]
    at = [coordinate(axis, shape) for shape in shapes]
    # Rounded, so that a slope of 0 is 0.
    slopes = [round(fit_slope(at, of_part), 9) + 0.0 for of_part in zip(*sizes, strict=True)]
    return Expected(slopes[0], min(slopes), max(slopes))


def fit_slope(at: Sequence[float], sizes: Sequence[float]) -> float:
    """Least-squares slope of log size over log coordinate; NaN if a size has no logarithm."""
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.nan
    return float(np.polyfit(np.log(at), np.log(sizes), 1)[0])


def _sizes(
    role: str, quantity: Quantity, shape: Shape, base: Shape, reference: Parameterization
) -> tuple[float, ...]:
    """The predicted size, up to a constant; where it is a sum, that of each part."""
    projection = project(
        BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(base)),
        base,
        shape,
        reference,
    )
    if role == ATTENTION_LOGITS:
        return _attention_logits(quantity, projection.forward, shape)
    of_role = Role(role)
    if of_role is Role.UNEMBEDDING and quantity in (Quantity.ACTIVATION, Quantity.LARGEST):
        at_init = projection.forward.logits * shape.d_model**0.5
        return (at_init,) if quantity is Quantity.ACTIVATION else (1.0, at_init)
    if quantity is Quantity.EPS_OVER_GRADIENT:
        if of_role is Role.QK_NORM:
            return (shape.q_dim**0.5, 1.0)
        return (shape.head_dim**0.5, 1.0) if of_role in _QUERY_KEY else FLAT
    if of_role is Role.QK_NORM and quantity in _UPDATES:
        return (1.0, shape.n_heads**0.5)
    if of_role not in projection.roles or of_role in GAIN_ROLES:
        return FLAT
    return _matrix(of_role, quantity, projection.roles[of_role], shape)


def _attention_logits(quantity: Quantity, forward: Forward, shape: Shape) -> tuple[float, ...]:
    unrelated = forward.attention * shape.head_dim**0.5
    if quantity is Quantity.ENTROPY:
        return FLAT
    if quantity is Quantity.ACTIVATION:
        return (unrelated,)
    return (forward.attention * shape.head_dim, unrelated)


def _matrix(role: Role, quantity: Quantity, settings: Settings, shape: Shape) -> tuple[float, ...]:
    """Sizes of a matrix or table."""
    std, lr = settings.init_std or 1.0, settings.lr
    n, o = fan_in(shape, role), fan_out(shape, role)
    if role is Role.EMBEDDING:
        n, o = 1, shape.d_model
    repeat = shape.repeat if role in KV_ROLES else 1
    expected = std * math.sqrt(o)
    update = lr * math.sqrt(o * n)
    parts = _parts(role, shape, n, lr)
    if quantity is Quantity.ACTIVATION:
        return (std * math.sqrt(n),) if role in HIDDEN_ROLES else FLAT
    if quantity is Quantity.ACTIVATION_CHANGE:
        # Flat whatever the rules say: this is what they are for. K and V change by ΔW·x, which
        # grows with their rule, and by W·Δx, which does not.
        if role is Role.EMBEDDING:
            return (lr,)
        return (1.0, lr * n) if role in KV_ROLES else FLAT
    return {
        Quantity.WEIGHT_SPECTRAL: (
            std * math.sqrt(repeat) * (math.sqrt(o / repeat) + math.sqrt(n)),
        ),
        Quantity.WEIGHT_EXPECTED: (expected,),
        Quantity.UPDATE_SPECTRAL: (update,),
        Quantity.UPDATE_EXPECTED: tuple(update * part for part in parts),
        Quantity.RELATIVE_UPDATE_SPECTRAL: FLAT,
        Quantity.RELATIVE_UPDATE_EXPECTED: tuple(
            _relative(role, update / expected) * part for part in parts
        ),
        Quantity.CHANGE_BY_WEIGHTS: tuple(lr * n * part for part in parts),
        Quantity.CHANGE_BY_INPUTS: FLAT,
    }[quantity]


def _parts(role: Role, shape: Shape, n: int, lr: float) -> tuple[float, ...]:
    """What ΔW does to x: along it, at random, and, of K and V, also without their rule."""
    if role is Role.EMBEDDING:
        return FLAT
    random = n / shape.repeat if role is Role.ATTENTION_OUT else n
    parts = (1.0, random**-0.5)
    return (*parts, 1 / (lr * n)) if role in KV_ROLES else parts


def _relative(role: Role, ratio: float) -> float:
    """‖ΔW‖_E / ‖W‖_E: flat, but for the two roles whose rule does not aim at that.

    The unembedding's grows with √d_model, which its forward multiplier takes back; that of K and V
    grows with s(r), since their rule is made for the spectral norm, and ‖W‖_E does not see r.
    """
    return ratio if role is Role.UNEMBEDDING or role in KV_ROLES else 1.0
