"""The sizes of activations, weights and updates, by role: what a coordinate check measures.

Notation
    ‖W‖     spectral norm
    ‖W‖_E   E[‖Wx‖ / ‖x‖] over what the layer really sees: its own inputs on the probe
    ΔW      change of W over the steps of the check
    K and V are measured in their repeated form: stacking a matrix r times multiplies both norms
    by √r, so nothing is stacked.

No spectral norm is taken of tables (embedding, unembedding) and gains, of which one side never
grows. An embedding's inputs are one-hot: its ‖W‖_E is the mean norm of the rows that were read. A
gain's ‖W‖_E is its RMS, which is E[‖g·x‖ / ‖x‖] for an x without a preferred axis.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from proxytune.coordinates.observe import Observation
from proxytune.models.roles import Parameter
from proxytune.scaling.rules import GAIN_ROLES, HIDDEN_ROLES, Role


class Quantity(StrEnum):
    """What is measured."""

    ACTIVATION = "activation"  # RMS at init
    ACTIVATION_CHANGE = "activation_change"  # RMS of the change after the steps
    WEIGHT_SPECTRAL = "weight_spectral"  # ‖W‖ at init
    WEIGHT_EXPECTED = "weight_expected"  # ‖W‖_E at init
    UPDATE_SPECTRAL = "update_spectral"  # ‖ΔW‖
    UPDATE_EXPECTED = "update_expected"  # ‖ΔW‖_E
    RELATIVE_UPDATE_SPECTRAL = "relative_update_spectral"  # ‖ΔW‖ / ‖W‖
    RELATIVE_UPDATE_EXPECTED = "relative_update_expected"  # ‖ΔW‖_E / ‖W‖_E


Sizes = dict[tuple[str, Quantity], float]
"""(role, or attention_logits; quantity) -> size, the mean over the role's modules."""


def activation_sizes(before: Observation, after: Observation) -> Sizes:
    """RMS of activations at init, and of their change."""
    sizes: Sizes = {}
    for role, outputs in before.activations.items():
        changes = [new - old for old, new in zip(outputs, after.activations[role], strict=True)]
        sizes[role, Quantity.ACTIVATION] = _mean([_rms(output) for output in outputs])
        sizes[role, Quantity.ACTIVATION_CHANGE] = _mean([_rms(change) for change in changes])
    return sizes


@torch.no_grad()
def weight_sizes(
    params: Sequence[Parameter],
    start: dict[str, Tensor],
    before: Observation,
    after: Observation,
    repeat: int,
) -> Sizes:
    """Norms of weights, updates, and of updates relative to weights.

    `start` has the initial weights by name; inputs are those at init for W, and those after the
    steps, which ΔW has come to be aligned with, for ΔW.
    """
    found: dict[tuple[str, Quantity], list[float]] = {}

    def keep(role: Role, quantity: Quantity, size: float) -> None:
        found.setdefault((role, quantity), []).append(size)

    for param in params:
        role, stacked = param.role, repeat**0.5 if param.role is Role.KV else 1.0
        old = _plain(start[param.name])
        change = _plain(param.tensor) - old
        if role in HIDDEN_ROLES:
            weight, update = _spectral(old) * stacked, _spectral(change) * stacked
            keep(role, Quantity.WEIGHT_SPECTRAL, weight)
            keep(role, Quantity.UPDATE_SPECTRAL, update)
            keep(role, Quantity.RELATIVE_UPDATE_SPECTRAL, update / weight)
        weight = _expected(old, before.inputs_NxI[param.name], role) * stacked
        update = _expected(change, after.inputs_NxI[param.name], role) * stacked
        keep(role, Quantity.WEIGHT_EXPECTED, weight)
        keep(role, Quantity.UPDATE_EXPECTED, update)
        keep(role, Quantity.RELATIVE_UPDATE_EXPECTED, update / weight)
    return {key: _mean(sizes) for key, sizes in found.items()}


def _expected(weight: Tensor, inputs_NxI: Tensor, role: Role) -> float:
    """‖W‖_E."""
    if role in GAIN_ROLES:
        return _rms(weight)
    if not inputs_NxI.is_floating_point():
        return float(weight[inputs_NxI].norm(dim=-1).mean())
    outputs_NxO = inputs_NxI.to(weight.dtype) @ weight.T
    return float((outputs_NxO.norm(dim=-1) / inputs_NxI.norm(dim=-1)).mean())


def _spectral(weight_OxI: Tensor) -> float:
    # Of a matrix that diverged there is no singular value to be had.
    if not weight_OxI.isfinite().all():
        return math.nan
    return float(torch.linalg.matrix_norm(weight_OxI, ord=2))


def _plain(weight: Tensor) -> Tensor:
    """A pack of one is stripped of its member axis; anything else has none."""
    return weight.detach().squeeze(0) if weight.shape[0] == 1 else weight.detach()


def _rms(values: Tensor) -> float:
    return float(values.float().square().mean().sqrt())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
