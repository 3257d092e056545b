"""Runs a coordinate check: a few steps of training at every shape, measured before and after."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxytune.coordinates.observe import logits_of, observe, weights_with_modules
from proxytune.coordinates.sizes import Quantity, Sizes, activation_sizes, weight_sizes
from proxytune.coordinates.theory import expected_slope, fit_slope
from proxytune.model.library import forward_multipliers, init_weights_, param_groups
from proxytune.model.parametrize import empty_model
from proxytune.model.roles import RolePatterns, parameters
from proxytune.scaling.projection import Forward
from proxytune.spec.axis import AxisName, coordinate
from proxytune.spec.hyperparameters import BaseHyperparameters
from proxytune.spec.parameterization import Parameterization
from proxytune.spec.shape import Shape

TOLERANCE = 0.15
"""How far a slope may be from what the theory expects."""

Build = Callable[[Shape, Forward], nn.Module]
"""A model of a shape, with these forward multipliers; its weights are drawn by the check."""
Batches = Callable[[int, int], Tensor]
"""(seed, step) -> tokens (B, T + 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinateCheck:
    """What is checked: one base, several shapes along an axis, several parameterizations."""

    axis: AxisName
    base: Shape
    shapes: Sequence[Shape]
    parameterizations: Sequence[Parameterization]
    hyperparameters: BaseHyperparameters
    batches: Batches
    seeds: int = 3
    steps: int = 8
    build: Build = lambda shape, forward: empty_model(shape, [forward])
    """Default: proxytune's own model. Any other, too, whose roles are known or in `patterns`."""
    patterns: RolePatterns | None = None


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


def measure(check: CoordinateCheck) -> Iterator[Measurement]:
    """Trains every shape, seed and parameterization, and yields what was measured."""
    for parameterization in check.parameterizations:
        for shape in check.shapes:
            for seed in range(check.seeds):
                for (role, quantity), size in _sizes(check, parameterization, shape, seed).items():
                    yield Measurement(
                        parameterization.label,
                        coordinate(check.axis, shape),
                        seed,
                        str(role),
                        quantity,
                        size,
                    )


def slopes(check: CoordinateCheck, measurements: Sequence[Measurement]) -> Slopes:
    """The slope of every size, of its geometric mean over seeds, beside the expected one."""
    sizes: dict[tuple[str, str, Quantity], dict[int, list[float]]] = {}
    for m in measurements:
        of_key = sizes.setdefault((m.parameterization, m.role, m.quantity), {})
        of_key.setdefault(m.coordinate, []).append(m.size)
    by_label = {p.label: p for p in check.parameterizations}
    found: Slopes = {}
    for (label, role, quantity), at in sizes.items():
        means = [float(np.exp(np.mean(np.log(values)))) for values in at.values()]
        expected = expected_slope(
            role, quantity, check.axis, check.shapes, check.base, by_label[label]
        )
        slope = Slope(fit_slope(list(at), means), expected)
        found.setdefault(label, {}).setdefault(role, {})[quantity] = slope
    return found


def passed(of_parameterization: dict[str, dict[str, Slope]]) -> bool:
    """Whether every slope is as expected."""
    return all(slope.ok for by in of_parameterization.values() for slope in by.values())


def _sizes(
    check: CoordinateCheck, parameterization: Parameterization, shape: Shape, seed: int
) -> Sizes:
    settings: dict[str, Any] = {
        "base": check.base,
        "target": shape,
        "hyperparameters": check.hyperparameters,
        "parameterization": parameterization,
    }
    model = check.build(shape, forward_multipliers(**settings))
    init_weights_(model, **settings, patterns=check.patterns, seed=seed)
    params = weights_with_modules(parameters(model, check.patterns))
    start = {param.name: param.tensor.detach().clone() for param in params}
    # A step that training never reaches: the probe is not among the batches.
    probe = check.batches(seed, check.steps)[:, :-1]
    before = observe(model, params, probe)
    optimizer = torch.optim.AdamW(param_groups(model, **settings, patterns=check.patterns))
    for step in range(check.steps):
        tokens = check.batches(seed, step)
        logits = logits_of(model, tokens[:, :-1])
        optimizer.zero_grad()
        loss = F.cross_entropy(logits.flatten(0, -2).float(), tokens[:, 1:].flatten())
        torch.autograd.backward(loss)
        optimizer.step()
    after = observe(model, params, probe)
    return activation_sizes(before, after) | weight_sizes(
        params, start, before, after, shape.repeat
    )
