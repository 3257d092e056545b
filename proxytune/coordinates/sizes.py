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
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from proxytune.coordinates.observe import ATTENTION_LOGITS, Observation
from proxytune.models.roles import Parameter
from proxytune.scaling.rules import GAIN_ROLES, HIDDEN_ROLES, KV_ROLES, Role, reported_as


class Quantity(StrEnum):
    """What is measured."""

    ACTIVATION = "activation"  # RMS at init
    ACTIVATION_CHANGE = "activation_change"  # RMS of the change after the steps
    CHANGE_BY_WEIGHTS = "change_by_weights"  # RMS of (W_t − W_0)·x_t
    CHANGE_BY_INPUTS = "change_by_inputs"  # RMS of W_0·(x_t − x_0)
    WEIGHT_SPECTRAL = "weight_spectral"  # ‖W‖ at init
    WEIGHT_EXPECTED = "weight_expected"  # ‖W‖_E at init
    UPDATE_SPECTRAL = "update_spectral"  # ‖ΔW‖
    UPDATE_EXPECTED = "update_expected"  # ‖ΔW‖_E
    RELATIVE_UPDATE_SPECTRAL = "relative_update_spectral"  # ‖ΔW‖ / ‖W‖
    RELATIVE_UPDATE_EXPECTED = "relative_update_expected"  # ‖ΔW‖_E / ‖W‖_E
    EPS_OVER_GRADIENT = "eps_over_gradient"  # AdamW's eps over the RMS of the gradient at init
    LARGEST = "largest"  # the largest logit after the steps: of a head, or of a position
    ENTROPY = "entropy"  # of attention after the steps, nats


Sizes = dict[tuple[str, Quantity], float]
"""(role, or attention_logits; quantity) -> size, the mean over the role's modules."""


def activation_sizes(before: Observation, after: Observation) -> Sizes:
    """RMS of activations at init, and of their change; logits and attention after the steps."""
    sizes: Sizes = {}
    for role, outputs in before.activations.items():
        changes = [new - old for old, new in zip(outputs, after.activations[role], strict=True)]
        sizes[role, Quantity.ACTIVATION] = _mean([_rms(output) for output in outputs])
        sizes[role, Quantity.ACTIVATION_CHANGE] = _mean([_rms(change) for change in changes])
    for role in (ATTENTION_LOGITS, Role.UNEMBEDDING):
        if role in after.activations:
            largest = [float(by.abs().amax(-1).mean()) for by in after.activations[role]]
            sizes[role, Quantity.LARGEST] = _mean(largest)
    if after.entropies:
        sizes[ATTENTION_LOGITS, Quantity.ENTROPY] = _mean(after.entropies)
    return sizes


@torch.no_grad()
def weight_sizes(
    params: Sequence[Parameter],
    start: Mapping[str, Tensor],
    before: Observation,
    after: Observation,
    repeat: int,
) -> Sizes:
    """Norms of weights, of updates, and what both do to activations.

    `start` has the initial weights by name; inputs are those at init for W, and those after the
    steps, which ΔW has come to be aligned with, for ΔW.
    """
    sizes = _BySize()
    for param in params:
        role, stacked = param.role, repeat**0.5 if param.role in KV_ROLES else 1.0
        old = _plain(start[param.name])
        change = _plain(param.tensor) - old
        x_before, x_after = before.inputs_NxI[param.name], after.inputs_NxI[param.name]
        if role in HIDDEN_ROLES:
            weight, update = _spectral(old) * stacked, _spectral(change) * stacked
            sizes.keep(role, Quantity.WEIGHT_SPECTRAL, weight)
            sizes.keep(role, Quantity.UPDATE_SPECTRAL, update)
            sizes.keep(role, Quantity.RELATIVE_UPDATE_SPECTRAL, _ratio(update, weight))
            sizes.keep(role, Quantity.CHANGE_BY_WEIGHTS, _rms(x_after @ change.T))
            sizes.keep(role, Quantity.CHANGE_BY_INPUTS, _rms((x_after - x_before) @ old.T))
        weight = _expected(old, x_before, role) * stacked
        update = _expected(change, x_after, role) * stacked
        sizes.keep(role, Quantity.WEIGHT_EXPECTED, weight)
        sizes.keep(role, Quantity.UPDATE_EXPECTED, update)
        sizes.keep(role, Quantity.RELATIVE_UPDATE_EXPECTED, _ratio(update, weight))
    return sizes.means()


def eps_sizes(groups: Sequence[Mapping[str, Any]], params: Sequence[Parameter]) -> Sizes:
    """Each role's eps over the RMS of the gradients that its parameters have now.

    `groups` are those of the optimizer.
    """
    eps = {id(tensor): float(group["eps"]) for group in groups for tensor in group["params"]}
    sizes = _BySize()
    for param in params:
        if param.tensor.grad is not None:
            ratio = _ratio(eps[id(param.tensor)], _rms(param.tensor.grad))
            sizes.keep(param.role, Quantity.EPS_OVER_GRADIENT, ratio)
    return sizes.means()


class _BySize:
    """Sizes of a role's modules, to be averaged."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Quantity], list[float]] = {}

    def keep(self, role: Role, quantity: Quantity, size: float) -> None:
        for name in reported_as(role):
            self._found.setdefault((name, quantity), []).append(size)

    def means(self) -> Sizes:
        return {key: _mean(sizes) for key, sizes in self._found.items()}


def _ratio(size: float, of: float) -> float:
    """Not a number where there is nothing to compare with."""
    return size / of if of else math.nan


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
