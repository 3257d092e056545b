"""Trains one model for a few steps and measures it before and after."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.config.axis import coordinate
from proxytune.config.coordinates import CoordinateSpec
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import logits_of, observe, weights_with_modules
from proxytune.coordinates.sizes import Quantity, Sizes, activation_sizes, weight_sizes
from proxytune.data.batches import Batch, training_batch
from proxytune.data.tokens import TokenArray
from proxytune.models.library import forward_multipliers, init_weights_, param_groups
from proxytune.models.parametrize import empty_model
from proxytune.models.roles import Parameter, RolePatterns, parameters
from proxytune.scaling.projection import Forward

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


@dataclass(frozen=True, slots=True)
class Measurement:
    """One size of one model."""

    parameterization: str
    coordinate: int
    """d_model, n_layers or repeat factor, by the axis."""
    seed: int
    role: str
    quantity: Quantity
    size: float


def runs(spec: CoordinateSpec) -> Iterator[Run]:
    """Every parameterization at every shape with every seed."""
    for parameterization in spec.parameterizations:
        for shape in spec.shapes():
            for seed in range(spec.seed, spec.seed + spec.seeds):
                yield Run(parameterization, shape, seed)


def run_batches(spec: CoordinateSpec, tokens: TokenArray, seed: int) -> Batch:
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

    `build` may make any model; `patterns` names its roles where they are not known.
    """
    settings: dict[str, Any] = {
        "base": spec.base,
        "target": run.shape,
        "hyperparameters": spec.hyperparameters,
        "parameterization": run.parameterization,
    }
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(run.shape, forward_multipliers(**settings)).to(device)
    init_weights_(model, **settings, patterns=patterns, seed=run.seed)
    optimizer = torch.optim.AdamW(param_groups(model, **settings, patterns=patterns))
    params = weights_with_modules(parameters(model, patterns))
    tokens = list(torch.as_tensor(batches).to(device))
    sizes = _train(model, params, optimizer, tokens, run.shape.repeat)
    at = coordinate(spec.axis, run.shape)
    return [
        Measurement(run.parameterization.label, at, run.seed, str(role), quantity, size)
        for (role, quantity), size in sizes.items()
    ]


def _train(
    model: nn.Module,
    params: Sequence[Parameter],
    optimizer: torch.optim.Optimizer,
    tokens: Sequence[Tensor],
    repeat: int,
) -> Sizes:
    """Trains on all batches but the last, which is the probe; sizes before and after."""
    *batches, last = tokens
    start = {param.name: param.tensor.detach().clone() for param in params}
    probe = last[:, :-1]
    before = observe(model, params, probe)
    for batch in batches:
        logits = logits_of(model, batch[:, :-1])
        optimizer.zero_grad()
        loss = F.cross_entropy(logits.flatten(0, -2).float(), batch[:, 1:].flatten())
        torch.autograd.backward(loss)
        optimizer.step()
    after = observe(model, params, probe)
    return activation_sizes(before, after) | weight_sizes(params, start, before, after, repeat)
