"""Runs a coordinate check: a few steps of training at every shape, measured before and after."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.config.axis import CoordinateSpec, coordinate
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import logits_of, observe, weights_with_modules
from proxytune.coordinates.sizes import Quantity, Sizes, activation_sizes, weight_sizes
from proxytune.coordinates.theory import expected_slope, fit_slope
from proxytune.data.batches import training_batch
from proxytune.data.tokens import TokenData
from proxytune.models.library import forward_multipliers, init_weights_, param_groups
from proxytune.models.parametrize import empty_model
from proxytune.models.roles import Parameter, RolePatterns, parameters
from proxytune.scaling.projection import Forward

TOLERANCE = 0.15
"""How far a slope may be from what the theory expects."""

Batches = Callable[[int, int], Tensor]
"""(seed, step) -> tokens (B, T + 1)."""

Build = Callable[[Shape, Forward], nn.Module]
"""A model of a shape, with these forward multipliers; its weights are drawn by the check."""


def own_model(shape: Shape, forward: Forward) -> nn.Module:
    """proxytune's transformer."""
    return empty_model(shape, [forward])


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


@dataclass(frozen=True, slots=True)
class Slope:
    """How a size goes with the axis, log against log."""

    slope: float
    expected: float

    @property
    def ok(self) -> bool:
        """Whether it is what the theory expects; a size that is no number is not."""
        return abs(self.slope - self.expected) <= TOLERANCE


Slopes = dict[str, dict[str, dict[str, Slope]]]
"""Parameterization -> role -> quantity -> slope."""


def batches_of(spec: CoordinateSpec, tokens: Path) -> Batches:
    """Batches of the tokens in a cache folder, of the size that the spec says."""
    train = TokenData.load(tokens).train
    size = (spec.training.batch_size, spec.proxy.seq_len)
    return lambda seed, step: torch.as_tensor(training_batch(train, seed, step, *size))


def measure(
    spec: CoordinateSpec,
    batches: Batches,
    build: Build = own_model,
    patterns: RolePatterns | None = None,
) -> Iterator[Measurement]:
    """Trains every parameterization, shape and seed, and yields what was measured.

    `build` may make any model; `patterns` names its roles where they are not known.
    """
    for rules in spec.parameterizations:
        for shape in spec.shapes():
            for seed in range(spec.seed, spec.seed + spec.seeds):
                settings: dict[str, Any] = {
                    "base": spec.base,
                    "target": shape,
                    "hyperparameters": spec.hyperparameters,
                    "parameterization": rules,
                }
                model = build(shape, forward_multipliers(**settings))
                init_weights_(model, **settings, patterns=patterns, seed=seed)
                optimizer = torch.optim.AdamW(param_groups(model, **settings, patterns=patterns))
                params = weights_with_modules(parameters(model, patterns))
                tokens = [batches(seed, step) for step in range(spec.steps + 1)]
                sizes = _train(model, params, optimizer, tokens, shape.repeat)
                for (role, quantity), size in sizes.items():
                    at = coordinate(spec.axis, shape)
                    yield Measurement(rules.label, at, seed, str(role), quantity, size)


def slopes(spec: CoordinateSpec, measurements: Sequence[Measurement]) -> Slopes:
    """The slope of every size, of its geometric mean over seeds, beside the expected one."""
    sizes: dict[tuple[str, str, Quantity], dict[int, list[float]]] = {}
    for m in measurements:
        of_key = sizes.setdefault((m.parameterization, m.role, m.quantity), {})
        of_key.setdefault(m.coordinate, []).append(m.size)
    by_label = {p.label: p for p in spec.parameterizations}
    found: Slopes = {}
    for (label, role, quantity), at in sizes.items():
        means = [statistics.geometric_mean(values) for values in at.values()]
        expected = expected_slope(
            role, quantity, spec.axis, spec.shapes(), spec.base, by_label[label]
        )
        slope = Slope(fit_slope(list(at), means), expected)
        found.setdefault(label, {}).setdefault(role, {})[quantity] = slope
    return found


def passed(of_parameterization: dict[str, dict[str, Slope]]) -> bool:
    """Whether every slope is as expected."""
    return all(slope.ok for by in of_parameterization.values() for slope in by.values())


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
