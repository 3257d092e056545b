"""How every size should scale: the expected slopes of a coordinate check.

The theory gives each size up to a constant; the expected slope is that of this prediction over the
very shapes that were measured, so it need not be a power: s(r) = (1 + √r)/2 is none.

Notation: n = fan-in, o = fan-out (of K and V repeated: n_heads · head_dim), σ and η = init std and
learning rate of the role, and x = a layer's input, of RMS 1 behind its norm.
    ‖W‖ = σ(√o + √n)            a Gaussian matrix; stacked r times: √r σ(√(o/r) + √n)
    ‖W‖_E = σ√o                 for an x that does not depend on W
    ‖ΔW‖ = ‖ΔW‖_E = η√(o·n)     a sign-like update along x, which AdamW's is early on
    RMS(Wx) = σ√n
Flat at every width, depth and repeat factor, whatever the rules: the change of every activation,
and ‖ΔW‖/‖W‖.
Sources: arXiv 2310.17813, section 3; GQA-μP, arXiv 2605.15290.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from proxytune.config.axis import AxisName, coordinate
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import ATTENTION_LOGITS
from proxytune.coordinates.sizes import Quantity
from proxytune.scaling.projection import Settings, fan_in, project
from proxytune.scaling.rules import GAIN_ROLES, HIDDEN_ROLES, Role


def expected_slope(
    role: str,
    quantity: Quantity,
    axis: AxisName,
    shapes: Sequence[Shape],
    base: Shape,
    parameterization: Parameterization,
) -> float:
    """The slope of the predicted size over the shapes.

    What must hold does not depend on what is tested: a narrower parameterization than gqa-mup is
    held against gqa-mup too. Only the options are a choice, and have exponents of their own.
    """
    kv_rule = parameterization.kv_rule if parameterization.name == "gqa-mup" else "none"
    reference = parameterization.model_copy(update={"name": "gqa-mup", "kv_rule": kv_rule})
    sizes = [_size(role, quantity, shape, base, reference) for shape in shapes]
    return fit_slope([coordinate(axis, shape) for shape in shapes], sizes)


def mean_size(sizes: Sequence[float]) -> float:
    """The geometric mean over seeds; NaN if a size has no logarithm."""
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.nan
    return statistics.geometric_mean(sizes)


def fit_slope(at: Sequence[float], sizes: Sequence[float]) -> float:
    """Least-squares slope of log size over log coordinate; NaN if a size has no logarithm."""
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.nan
    return float(np.polyfit(np.log(at), np.log(sizes), 1)[0])


def _size(
    role: str, quantity: Quantity, shape: Shape, base: Shape, reference: Parameterization
) -> float:
    """The predicted size, up to a constant."""
    projection = project(
        BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(base.d_model)),
        base,
        shape,
        reference,
    )
    if role == ATTENTION_LOGITS:
        # Entries of q and k are of order 1: unrelated at init, aligned after training.
        power = 0.5 if quantity is Quantity.ACTIVATION else 1.0
        return projection.forward.attention * shape.head_dim**power
    of_role = Role(role)
    if of_role is Role.UNEMBEDDING and quantity is Quantity.ACTIVATION:
        return projection.forward.logits * shape.d_model**0.5
    if of_role not in projection.roles or quantity is Quantity.RELATIVE_UPDATE_SPECTRAL:
        return 1.0
    settings = projection.roles[of_role]
    if quantity is Quantity.ACTIVATION:
        return _activation(of_role, settings, shape)
    if quantity is Quantity.ACTIVATION_CHANGE:
        # Flat whatever the rules say: this is what they are for. (K and V change by ΔW x, which
        # grows with their rule, and by W Δx, which does not; they too are held against flat.)
        return settings.lr if of_role is Role.EMBEDDING else 1.0
    return _weight(of_role, quantity, settings, shape)


def _activation(role: Role, settings: Settings, shape: Shape) -> float:
    if role not in HIDDEN_ROLES:
        return 1.0
    return float(settings.init_std or 1.0) * math.sqrt(fan_in(shape, role))


def _weight(role: Role, quantity: Quantity, settings: Settings, shape: Shape) -> float:
    if role in GAIN_ROLES:
        return 1.0
    std, lr = settings.init_std or 1.0, settings.lr
    if role is Role.EMBEDDING:
        n, o = 1, shape.d_model
    else:
        n, o = fan_in(shape, role), _fan_out(shape, role)
    repeat = shape.repeat if role is Role.KV else 1
    spectral = std * math.sqrt(repeat) * (math.sqrt(o / repeat) + math.sqrt(n))
    expected = std * math.sqrt(o)
    update = lr * math.sqrt(o * n)
    return {
        Quantity.WEIGHT_SPECTRAL: spectral,
        Quantity.WEIGHT_EXPECTED: expected,
        Quantity.UPDATE_SPECTRAL: update,
        Quantity.UPDATE_EXPECTED: update,
        Quantity.RELATIVE_UPDATE_EXPECTED: _relative(role, update / expected),
    }[quantity]


def _relative(role: Role, ratio: float) -> float:
    """‖ΔW‖_E / ‖W‖_E: flat, but for the two roles whose rule does not aim at that.

    The unembedding's grows with √d_model, which its forward multiplier takes back; that of K and V
    grows with s(r), since their rule is made for the spectral norm, and ‖W‖_E does not see r.
    """
    return ratio if role in (Role.UNEMBEDDING, Role.KV) else 1.0


def _fan_out(shape: Shape, role: Role) -> int:
    return {
        Role.QUERY: shape.q_dim,
        Role.KV: shape.q_dim,
        Role.HIDDEN: shape.d_ff,
        Role.UNEMBEDDING: shape.vocab_size,
    }.get(role, shape.d_model)
