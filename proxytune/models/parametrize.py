"""Where projected settings become the tensors of a pack: init, multipliers, settings by member.

Shapes, as suffixes of names: K members.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from proxytune.config.shape import Shape
from proxytune.models.roles import parameters
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


def draw(shape: Sequence[int], seed: int, name: str) -> Tensor:
    """Standard normal numbers, on the CPU, whatever was drawn before and wherever they go."""
    # One number of 32 bits: the generator takes no notice of more.
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    return torch.empty(tuple(shape)).normal_(generator=generator)


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
    """Draws every member's weights: normal, std by role. Gains stay at 1.

    A member's weights depend on its seed and the parameter's name, not on who else is in the pack.
    """
    for param in parameters(model):
        for member, (projection, seed) in enumerate(zip(projections, seeds, strict=True)):
            std = projection.roles[param.role].init_std
            if std is not None:
                shape = param.tensor.shape[1:]
                param.tensor[member].copy_(draw(shape, seed, param.name) * std)


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
