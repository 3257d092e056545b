"""The one place where projected settings become tensors: init, multipliers, parameter groups.

Shapes, as suffixes of names: K members.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from proxytune.model.transformer import ForwardMultipliers, PackedTransformer
from proxytune.scaling.projection import Projection
from proxytune.scaling.rules import Role
from proxytune.spec.shape import Shape


@dataclass(frozen=True, slots=True)
class ParamGroup:
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
    multipliers = ForwardMultipliers(
        **{
            name: torch.tensor([getattr(projection.forward, name) for projection in projections])
            for name in ("embedding", "attention", "residual", "logits")
        }
    )
    model = PackedTransformer(shape, multipliers)
    init_weights_(model, projections, seeds)
    return model


@torch.no_grad()
def init_weights_(
    model: nn.Module, projections: Sequence[Projection], seeds: Sequence[int]
) -> None:
    """Draws every member's weights: normal, std by role. Gains stay at 1.

    A member's weights depend on its seed and the parameter's name, not on who else is in the pack.
    """
    for name, param, role in named_roles(model):
        for member, (projection, seed) in enumerate(zip(projections, seeds, strict=True)):
            std = projection.roles[role].init_std
            if std is not None:
                # One number of 32 bits: the generator takes no notice of more.
                draw = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
                weight = torch.empty(param.shape[1:]).normal_(0.0, std, generator=draw)
                param[member].copy_(weight)


def param_groups(model: nn.Module, projections: Sequence[Projection]) -> list[ParamGroup]:
    """The model's parameters by role, with each member's learning rate, decay and eps."""
    by_role: dict[Role, list[nn.Parameter]] = {}
    for _, param, role in named_roles(model):
        by_role.setdefault(role, []).append(param)

    def setting(role: Role, name: str, like: Tensor) -> Tensor:
        values = [getattr(projection.roles[role], name) for projection in projections]
        return torch.tensor(values, device=like.device, dtype=torch.float32)

    return [
        ParamGroup(
            role=role,
            params=params,
            lr_K=setting(role, "lr", params[0]),
            weight_decay_K=setting(role, "weight_decay", params[0]),
            eps_K=setting(role, "eps", params[0]),
        )
        for role, params in by_role.items()
    ]


def named_roles(model: nn.Module) -> list[tuple[str, nn.Parameter, Role]]:
    """Every parameter once, with its name and the role that its module has."""
    return [
        (f"{path}.{name}", param, module.role)
        for path, module in model.named_modules()
        for name, param in module.named_parameters(recurse=False)
        if isinstance(module.role, Role)
    ]
