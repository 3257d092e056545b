"""Where projected settings become the tensors of a pack: init, multipliers, settings by member.

Shapes, as suffixes of names: K members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from proxytune.config.shape import Shape
from proxytune.models.portable import draw, placed_like
from proxytune.models.roles import Parameter, parameters
from proxytune.models.transformer import ForwardMultipliers, PackedTransformer
from proxytune.scaling.projection import Forward, Projection
from proxytune.scaling.rules import Role


@dataclass(frozen=True, slots=True)
class PackGroup:
    """The parameters of one role, each with members in front, and their settings by member."""

    role: Role
    params: list[nn.Parameter]
    lr_K: Tensor
    weight_decay_K: Tensor
    eps_K: Tensor


def build_model(
    shape: Shape, projections: Sequence[Projection], seeds: Sequence[int]
) -> PackedTransformer:
    """A pack of initialized models on the CPU, one for each projection."""
    model = empty_model(shape, [projection.forward for projection in projections])
    init_pack_(model, projections, seeds)
    return model


def empty_model(shape: Shape, forwards: Sequence[Forward]) -> PackedTransformer:
    """A pack with these forward multipliers, whose weights are not drawn yet."""
    names = [field.name for field in fields(Forward)]
    by = {name: torch.tensor([getattr(forward, name) for forward in forwards]) for name in names}
    return PackedTransformer(shape, ForwardMultipliers(**by))


@torch.no_grad()
def init_pack_(model: nn.Module, projections: Sequence[Projection], seeds: Sequence[int]) -> None:
    """Draws every member's weights: normal, std by role. Gains are 1.

    A member's weights depend on its seed and the parameter's name, not on who else is in the pack.
    """
    for param in parameters(model):
        weight = initial_weight(param, projections, seeds)
        param.tensor.copy_(placed_like(param.tensor, weight))


def initial_weight(
    param: Parameter, projections: Sequence[Projection], seeds: Sequence[int]
) -> Tensor:
    """What a parameter of a pack starts at (K, …), whole and on the CPU."""
    shape, weights = param.tensor.shape[1:], []
    for projection, seed in zip(projections, seeds, strict=True):
        std = projection.roles[param.role].init_std
        weights.append(
            torch.ones(shape) if std is None else draw(shape, seed, param.name).mul_(std)
        )
    return torch.stack(weights)


def pack_groups(model: nn.Module, projections: Sequence[Projection]) -> list[PackGroup]:
    """The model's parameters by role, with each member's learning rate, decay and eps."""
    by_role: dict[Role, list[nn.Parameter]] = {}
    for param in parameters(model):
        by_role.setdefault(param.role, []).append(param.tensor)

    def setting(role: Role, name: str, like: Tensor) -> Tensor:
        values = [getattr(projection.roles[role], name) for projection in projections]
        return torch.tensor(values, device=like.device, dtype=torch.float32)

    return [
        PackGroup(
            role=role,
            params=params,
            lr_K=setting(role, "lr", params[0]),
            weight_decay_K=setting(role, "weight_decay", params[0]),
            eps_K=setting(role, "eps", params[0]),
        )
        for role, params in by_role.items()
    ]
