"""AdamW for packs: every member has its own learning rate, decay, eps and betas.

All parameters of a role become views of one buffer (K, P), so a step takes a few operations per
role, for any number of matrices and members.

Shapes, as suffixes of names: K members, P numbers of one member in one role.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from proxytune.models.parametrize import PackGroup


@dataclass(frozen=True, slots=True)
class _Flat:
    """One role's parameters side by side in one buffer; the parameters are views of it."""

    params: Sequence[nn.Parameter]
    weight_KxP: Tensor
    grad_KxP: Tensor
    mean_KxP: Tensor
    square_KxP: Tensor
    lr_Kx1: Tensor
    weight_decay_Kx1: Tensor
    eps_Kx1: Tensor

    def moments(self) -> dict[str, Tensor]:
        """AdamW's state."""
        return {"mean": self.mean_KxP, "square": self.square_KxP}


class PackedAdamW:
    """Decoupled weight decay, bias-corrected moments: arXiv 1711.05101, algorithm 2, as in torch.

    A step removes lr · weight_decay · w, and eps is added to the root of the corrected second
    moment, exactly like `torch.optim.AdamW`.
    """

    def __init__(
        self,
        groups: Sequence[PackGroup],
        beta1_K: Tensor,
        beta2_K: Tensor,
        clip_norm: float | None,
    ) -> None:
        self._groups = [_flatten(group) for group in groups]
        self._beta1_Kx1, self._beta2_Kx1 = beta1_K[:, None], beta2_K[:, None]
        self._clip_norm = clip_norm
        self.steps = 0

    @torch.no_grad()
    def step(self, lr_factor_K: Tensor) -> Tensor:
        """One update from the parameters' gradients, which it then clears.

        `lr_factor_K` is the fraction of the peak rates. Returns gradient norms (K,) before
        clipping.
        """
        self.steps += 1
        norm_K = torch.stack([_gather_grad(group) for group in self._groups]).sum(0).sqrt()
        if self._clip_norm is not None:
            scale_Kx1 = (self._clip_norm / norm_K.clamp(min=1e-12)).clamp(max=1.0)[:, None]
            for group in self._groups:
                group.grad_KxP.mul_(scale_Kx1)
        for group in self._groups:
            self._update(group, lr_factor_K[:, None])
        return norm_K

    def _update(self, group: _Flat, lr_factor_Kx1: Tensor) -> None:
        lr_Kx1 = group.lr_Kx1 * lr_factor_Kx1
        grad_KxP = group.grad_KxP
        group.mean_KxP.lerp_(grad_KxP, 1 - self._beta1_Kx1)
        group.square_KxP.mul_(self._beta2_Kx1).add_(grad_KxP.square().mul_(1 - self._beta2_Kx1))
        corrected1_Kx1 = 1 - self._beta1_Kx1**self.steps
        corrected2_Kx1 = 1 - self._beta2_Kx1**self.steps
        root_KxP = group.square_KxP.div(corrected2_Kx1).sqrt_().add_(group.eps_Kx1)
        group.weight_KxP.mul_(1 - lr_Kx1 * group.weight_decay_Kx1)
        group.weight_KxP.addcdiv_(group.mean_KxP * (-lr_Kx1 / corrected1_Kx1), root_KxP)

    def state(self) -> list[dict[str, Tensor]]:
        """Moments of every role, members first."""
        return [group.moments() for group in self._groups]

    def restore(self, state: Sequence[dict[str, Tensor]], steps: int) -> None:
        """Restores the moments that `state` returned after `steps` steps."""
        self.steps = steps
        for group, saved in zip(self._groups, state, strict=True):
            for name, moment in group.moments().items():
                moment.copy_(saved[name])


def _gather_grad(group: _Flat) -> Tensor:
    """Moves the parameters' gradients into the buffer; returns their squared norms (K,)."""
    grads = [param.grad.flatten(1) for param in group.params if param.grad is not None]
    torch.cat(grads, dim=1, out=group.grad_KxP)
    for param in group.params:
        param.grad = None
    return group.grad_KxP.square().sum(1)


def _flatten(group: PackGroup) -> _Flat:
    """Moves a role's parameters into one buffer for good."""
    weight_KxP = torch.cat([param.detach().flatten(1) for param in group.params], dim=1)
    start = 0
    for param in group.params:
        size = param[0].numel()
        param.data = weight_KxP[:, start : start + size].view(param.shape)
        start += size
    return _Flat(
        params=group.params,
        weight_KxP=weight_KxP,
        grad_KxP=torch.zeros_like(weight_KxP),
        mean_KxP=torch.zeros_like(weight_KxP),
        square_KxP=torch.zeros_like(weight_KxP),
        lr_Kx1=group.lr_K[:, None],
        weight_decay_Kx1=group.weight_decay_K[:, None],
        eps_Kx1=group.eps_K[:, None],
    )
