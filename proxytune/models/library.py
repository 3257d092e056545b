"""The parameterization for any model: AdamW parameter groups, initial weights, multipliers.

Made from names and shapes alone, so it works before and after DDP, FSDP2 and torch.compile. The
three functions agree with each other when called with the same arguments:

    settings = dict(base=base, target=target, hyperparameters={"learning_rate": 0.02})
    proxytune.init_weights_(model, **settings)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **settings))
    forward = proxytune.forward_multipliers(**settings)     # for the model's config or forward
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import validate
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.models.names import built_in_name
from proxytune.models.portable import draw, placed_like
from proxytune.models.roles import Parameter, parameters, require_shape
from proxytune.scaling.folding import fold, folding_factors, plain_forward
from proxytune.scaling.names import RolePatterns
from proxytune.scaling.projection import Forward, Settings, project
from proxytune.scaling.rules import Role

ShapeLike = Shape | dict[str, Any]
HyperparametersLike = BaseHyperparameters | dict[str, float]
ParameterizationLike = Parameterization | dict[str, Any] | str


def param_groups(
    model: nn.Module,
    *,
    base: ShapeLike,
    target: ShapeLike,
    hyperparameters: HyperparametersLike,
    parameterization: ParameterizationLike = "gqa-mup",
    patterns: RolePatterns | None = None,
    folded: bool = False,
) -> list[dict[str, Any]]:
    """Parameter groups for `torch.optim.AdamW`: every parameter of `model` once.

    Each group has params, lr, weight_decay, eps, betas and, for the reader, its role. `lr` is the
    peak: a schedule multiplies it. `patterns` maps name patterns to roles for a model whose names
    are not known. With `folded`, the groups are for a model without forward multipliers; train it
    without clipping by the global norm, which would see other gradients.

    Raises InputError for a parameter without a role, a pattern without a parameter, a model that
    is not of the target's shape, fused Q, K and V where K and V have a rule of their own, and a
    fold that no setting can express.
    """
    plan = _Plan.of(base, target, hyperparameters, parameterization, folded)
    groups: dict[str, dict[str, Any]] = {}
    for param, settings, _ in plan.assign(model, patterns):
        label = f"{param.role} bias" if param.bias else str(param.role)
        group = {
            "role": label,
            "params": [],
            "lr": settings.lr,
            "weight_decay": settings.weight_decay,
            "eps": settings.eps,
            "betas": (plan.hyperparameters.beta1, plan.hyperparameters.beta2),
        }
        groups.setdefault(label, group)["params"].append(param.tensor)
    return list(groups.values())


@torch.no_grad()
def init_weights_(
    model: nn.Module,
    *,
    base: ShapeLike,
    target: ShapeLike,
    hyperparameters: HyperparametersLike,
    parameterization: ParameterizationLike = "gqa-mup",
    patterns: RolePatterns | None = None,
    folded: bool = False,
    seed: int = 0,
    as_built_in: bool = False,
) -> None:
    """Draws the model's weights: normal with the std of their role, gains 1, biases 0.

    A weight depends on (seed, name) alone, so a sharded model (DTensor) starts from the same
    weights as a whole one. With `as_built_in`, a model that names its parameters as Llama does
    starts from the weights of proxytune's own decoder, to be compared with it. Arguments and
    errors as for `param_groups`.
    """
    plan = _Plan.of(base, target, hyperparameters, parameterization, folded)
    for param, settings, factor in plan.assign(model, patterns):
        if param.bias:
            param.tensor.zero_()
        elif settings.init_std is None:
            param.tensor.fill_(factor)
        else:
            name = built_in_name(param.name) if as_built_in else param.name
            normal = draw(param.tensor.shape, seed, name).to(param.tensor.dtype)
            param.tensor.copy_(placed_like(param.tensor, normal * settings.init_std))


def forward_multipliers(
    *,
    base: ShapeLike,
    target: ShapeLike,
    hyperparameters: HyperparametersLike,
    parameterization: ParameterizationLike = "gqa-mup",
    folded: bool = False,
) -> Forward:
    """The multipliers on the embedding, q·k, every residual branch, and the logits.

    `attention` is the whole softmax scale, 1/√head_dim included. With `folded`, that is all there
    is: the rest is 1.
    """
    plan = _Plan.of(base, target, hyperparameters, parameterization, folded)
    return plan.forward


@dataclass(frozen=True, slots=True)
class _Plan:
    """Settings of every role at the target, with what its weights take in of the multipliers."""

    target: Shape
    hyperparameters: BaseHyperparameters
    roles: Mapping[Role, Settings]
    forward: Forward
    factors: Mapping[Role, float]
    fused_allowed: bool

    @classmethod
    def of(
        cls,
        base: ShapeLike,
        target: ShapeLike,
        hyperparameters: HyperparametersLike,
        parameterization: ParameterizationLike,
        folded: bool,
    ) -> "_Plan":
        base, target = validate(Shape, base, "base"), validate(Shape, target, "target")
        if isinstance(hyperparameters, dict):
            defaults = BaseHyperparameters.defaults_at(base.at(tied=target.tied))
            hyperparameters = defaults | hyperparameters
        hyperparameters = validate(BaseHyperparameters, hyperparameters, "hyperparameters")
        rules = validate(Parameterization, parameterization, "parameterization")
        projection = project(hyperparameters, base, target, rules)
        hp = hyperparameters
        own = {hp.kv_lr_multiplier, hp.key_lr_multiplier, hp.value_lr_multiplier}
        has_kv_rule = rules.name == "gqa-mup" and rules.kv_rule != "none"
        return cls(
            target=target,
            hyperparameters=hyperparameters,
            roles=projection.roles,
            forward=plain_forward(target) if folded else projection.forward,
            factors=folding_factors(projection, target) if folded else {},
            # Of what K and V have of their own, √r in eps is left, which seldom matters.
            fused_allowed=not has_kv_rule and own == {1.0},
        )

    def assign(
        self, model: nn.Module, patterns: RolePatterns | None
    ) -> Iterator[tuple[Parameter, Settings, float]]:
        """Every parameter with its settings and the multiplier it takes in."""
        params = parameters(model, patterns)
        require_shape(params, self.target, fused_allowed=self.fused_allowed)
        together = [param.name for param in params if param.row not in self.roles]
        if together:
            raise InputError(
                f"patterns: {', '.join(together)} is kv, but key_lr_multiplier and "
                "value_lr_multiplier differ; split it, and name the halves key and value"
            )
        for param in params:
            # A bias is added behind its matrix, so it takes in the same multiplier.
            factor = self.factors.get(param.role, 1.0)
            yield param, fold(self.roles[param.row], factor), factor
