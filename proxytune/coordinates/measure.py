"""Trains one model for a few steps and measures it before and after."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.config.axis import coordinate
from proxytune.config.coordinates import CoordinateSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import logits_of, observe, weights_with_modules
from proxytune.coordinates.sizes import Quantity, Sizes, activation_sizes, eps_sizes, weight_sizes
from proxytune.data.batches import Batch, training_batch
from proxytune.data.stream import TokenStream
from proxytune.models.library import forward_multipliers, init_weights_, param_groups
from proxytune.models.parametrize import empty_model
from proxytune.models.roles import Parameter, parameters
from proxytune.scaling.names import RolePatterns
from proxytune.scaling.projection import Forward
from proxytune.scaling.rules import KV_ROLES
from proxytune.training.precision import autocast
from proxytune.training.schedule import lr_factor

CONTROL_SEEDS = 4
"""Enough for an error as large as the axis."""
DRAWS = 8
"""Of initial weights, over which gradients at init are averaged: they vary more than the rest."""
SEQUENCES = 1
"""Of a batch, for gradients at init: over many tokens, the final norm's is mostly that of logits
which are not 0 yet, and vanish with width."""
_SEEDS_APART = 1_000_003

Build = Callable[[Shape, Forward], nn.Module]
"""A model of a shape, with these forward multipliers; its weights are drawn by the check."""


def own_model(shape: Shape, forward: Forward) -> nn.Module:
    """proxytune's transformer."""
    return empty_model(shape, [forward])


@dataclass(frozen=True, slots=True)
class Run:
    """One training run of the check."""

    parameterization: Parameterization
    shape: Shape
    seed: int
    """Of initial weights and batches."""
    control: bool = False
    """Whether K and V train at a rate that is wrong: times the shape's place on the axis."""

    @property
    def label(self) -> str:
        """What its measurements are of."""
        label = self.parameterization.label
        return control_label(label) if self.control else label


@dataclass(frozen=True, slots=True)
class Measurement:
    """One size of one model."""

    parameterization: str
    """A label, or that of the control."""
    coordinate: int
    """d_model, n_layers or repeat factor, by the axis."""
    seed: int
    role: str
    quantity: Quantity
    size: float


def control_label(label: str) -> str:
    """What measurements of a parameterization's control are of."""
    return f"{label}-control"


def runs(spec: CoordinateSpec) -> Iterator[Run]:
    """Every parameterization at every shape with every seed; then the control of the first."""
    seeds = range(spec.seed, spec.seed + spec.seeds)
    for parameterization in spec.parameterizations:
        for shape in spec.shapes():
            for seed in seeds:
                yield Run(parameterization, shape, seed)
    for shape in spec.shapes()[:2]:
        for seed in seeds[:CONTROL_SEEDS]:
            yield Run(spec.parameterizations[0], shape, seed, control=True)


def run_batches(spec: CoordinateSpec, tokens: TokenStream, seed: int) -> Batch:
    """The batches of a run and the probe behind them, (steps + 1, B, T + 1)."""
    size = (spec.training.batch_size, spec.proxy.seq_len)
    return np.stack([training_batch(tokens, seed, s, *size) for s in range(spec.steps + 1)])


def measure(
    spec: CoordinateSpec,
    run: Run,
    batches: Batch,
    build: Build = own_model,
    patterns: RolePatterns | None = None,
) -> list[Measurement]:
    """Trains a model on `run_batches` and returns its sizes; on the GPU if there is one.

    `build` may make any model; `patterns` names its roles where they are not known. A control of
    a model that holds Q, K and V in one matrix has no sizes.
    """
    at = coordinate(spec.axis, run.shape)
    settings: dict[str, Any] = {
        "base": spec.base,
        "target": run.shape,
        "hyperparameters": hyperparameters_of(spec, run),
        "parameterization": run.parameterization,
    }
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(run.shape, forward_multipliers(**settings)).to(device)
    model.forward = autocast(spec.training, device)(model.forward)
    params = weights_with_modules(parameters(model, patterns))
    if run.control and not any(param.role in KV_ROLES for param in params):
        return []
    tokens = list(torch.as_tensor(batches).to(device))
    groups = param_groups(model, **settings, patterns=patterns)

    def init(seed: int) -> None:
        init_weights_(model, **settings, patterns=patterns, seed=seed)

    sizes = _eps_at_init(model, params, groups, init, run.seed, tokens[0])
    optimizer = torch.optim.AdamW(groups)
    sizes |= _train(model, params, optimizer, _lr_factors(spec), tokens, run.shape.repeat)
    return [
        Measurement(run.label, at, run.seed, str(role), quantity, size)
        for (role, quantity), size in sizes.items()
    ]


def hyperparameters_of(spec: CoordinateSpec, run: Run) -> BaseHyperparameters:
    """Those of the check; in a control, with a K/V rate that is off by the axis."""
    if not run.control:
        return spec.hyperparameters
    off = coordinate(spec.axis, run.shape) / coordinate(spec.axis, spec.shapes()[0])
    rate = spec.hyperparameters.kv_lr_multiplier * off
    return spec.hyperparameters.model_copy(update={"kv_lr_multiplier": rate})


def _lr_factors(spec: CoordinateSpec) -> list[float]:
    """Of every step, as fractions of the peak: constant, or the schedule in a late check."""
    if not spec.late:
        return [1.0] * spec.steps
    training = spec.training.model_copy(update={"steps": spec.steps})
    warmup = spec.hyperparameters.warmup_fraction
    return [lr_factor(training, warmup, step) for step in range(spec.steps)]


def _eps_at_init(
    model: nn.Module,
    params: Sequence[Parameter],
    groups: Sequence[dict[str, Any]],
    init: Callable[[int], None],
    seed: int,
    batch: Tensor,
) -> Sizes:
    """eps over the gradient at init, the geometric mean over draws of the weights.

    The last draw, whose weights stay, is that of the seed itself.
    """
    drawn = []
    for draw in reversed(range(DRAWS)):
        init(seed + draw * _SEEDS_APART)
        _backward(model, batch[:SEQUENCES])
        drawn.append(eps_sizes(groups, params))
    model.zero_grad()
    return {
        key: math.exp(sum(math.log(sizes[key] or math.nan) for sizes in drawn) / DRAWS)
        for key in drawn[0]
    }


def _train(
    model: nn.Module,
    params: Sequence[Parameter],
    optimizer: torch.optim.Optimizer,
    lr_factors: Sequence[float],
    tokens: Sequence[Tensor],
    repeat: int,
) -> Sizes:
    """Trains on all batches but the last, which is the probe; sizes before and after."""
    *batches, last = tokens
    start = {param.name: param.tensor.detach().clone() for param in params}
    probe = last[:, :-1]
    before = observe(model, params, probe)
    peaks = [group["lr"] for group in optimizer.param_groups]
    for batch, factor in zip(batches, lr_factors, strict=True):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        _backward(model, batch)
        optimizer.step()
    after = observe(model, params, probe)
    sizes = activation_sizes(before, after)
    return sizes | weight_sizes(params, start, before, after, repeat)


def _backward(model: nn.Module, batch: Tensor) -> None:
    """Gradients of the loss on a batch (B, T + 1), in place of those before."""
    logits = logits_of(model, batch[:, :-1])
    model.zero_grad()
    loss = F.cross_entropy(logits.flatten(0, -2).float(), batch[:, 1:].flatten())
    torch.autograd.backward(loss)
