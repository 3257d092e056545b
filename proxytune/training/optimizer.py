"""AdamW for packs: every member has its own learning rate, decay, eps and betas.

All parameters of a role become views of one buffer (K, P), so a step takes a few operations per
role, for any number of matrices and members. Sharded parameters stay where FSDP2 has put them, and
each process steps its part of each.

Shapes, as suffixes of names: K members, P numbers of one member, in one role or one parameter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from proxytune.models.parametrize import PackGroup
from proxytune.training.compiling import compiled_
from proxytune.training.processes import Processes


class _Flat:
    """Parameters of one role that are stepped together, and their moments."""

    def __init__(
        self,
        group: PackGroup,
        params: Sequence[nn.Parameter],
        weight: Tensor,
        processes: Processes,
    ) -> None:
        """`weight` is the one parameter, or a buffer (K, P) of which all are views."""
        self.params, self._part = params, processes.part
        self.moments = {name: torch.zeros_like(weight) for name in ("mean", "square")}
        """AdamW's state, laid out as the weight is."""
        self.weight_KxP = self._view_KxP(weight)
        self.mean_KxP, self.square_KxP = map(self._view_KxP, self.moments.values())
        self.lr_Kx1 = group.lr_K[:, None]
        self.weight_decay_Kx1 = group.weight_decay_K[:, None]
        self.eps_Kx1 = group.eps_K[:, None]
        self._grad_KxP = torch.empty_like(self.weight_KxP) if len(params) > 1 else None

    def take_grad(self) -> Tensor:
        """The gradients (K, P), which the parameters then have no more."""
        grads = [self._part(p.grad).flatten(1) for p in self.params if p.grad is not None]
        for param in self.params:
            param.grad = None
        if self._grad_KxP is None:
            return grads[0]
        return torch.cat(grads, dim=1, out=self._grad_KxP)

    def _view_KxP(self, tensor: Tensor) -> Tensor:
        """This process's part of a tensor, members first."""
        here = self._part(tensor)
        return here.view(len(here), -1)


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
        processes: Processes | None = None,
        compiled: bool = False,
    ) -> None:
        self._processes = processes or Processes()
        self._roles = [_flatten(group, self._processes) for group in groups]
        self._flats = [flat for role in self._roles for flat in role]
        self._beta1_Kx1, self._beta2_Kx1 = beta1_K[:, None], beta2_K[:, None]
        self._clip_norm = clip_norm
        if compiled:
            self._update = compiled_(self._update)  # type: ignore[method-assign]
        self.steps = 0
        self.clipped_K = torch.zeros_like(beta1_K)
        """Steps whose gradients were scaled down since it was last set to 0, by member."""

    @torch.no_grad()
    def step(self, lr_factor_K: Tensor) -> Tensor:
        """One update from the parameters' gradients, which it then clears.

        `lr_factor_K` is the fraction of the peak rates. Returns gradient norms (K,) before
        clipping.
        """
        self.steps += 1
        grads = [flat.take_grad() for flat in self._flats]
        squares_K = torch.stack([grad_KxP.square().sum(1) for grad_KxP in grads]).sum(0)
        norm_K = self._processes.total(squares_K).sqrt()
        if self._clip_norm is not None:
            self.clipped_K += norm_K > self._clip_norm
            scale_Kx1 = (self._clip_norm / norm_K.clamp(min=1e-12)).clamp(max=1.0)[:, None]
            for grad_KxP in grads:
                grad_KxP.mul_(scale_Kx1)
        corrected_Kx1 = (
            1 - beta_Kx1**self.steps for beta_Kx1 in (self._beta1_Kx1, self._beta2_Kx1)
        )
        self._update(grads, lr_factor_K[:, None], *corrected_Kx1)
        return norm_K

    def _update(
        self,
        grads: Sequence[Tensor],
        lr_factor_Kx1: Tensor,
        corrected1_Kx1: Tensor,
        corrected2_Kx1: Tensor,
    ) -> None:
        """Updates moments and weights; `corrected` are 1 - βᵗ after t steps."""
        beta1_Kx1, beta2_Kx1 = self._beta1_Kx1, self._beta2_Kx1
        for flat, grad_KxP in zip(self._flats, grads, strict=True):
            lr_Kx1 = flat.lr_Kx1 * lr_factor_Kx1
            flat.mean_KxP.lerp_(grad_KxP, 1 - beta1_Kx1)
            flat.square_KxP.mul_(beta2_Kx1).add_(grad_KxP.square().mul_(1 - beta2_Kx1))
            root_KxP = flat.square_KxP.div(corrected2_Kx1).sqrt_().add_(flat.eps_Kx1)
            flat.weight_KxP.mul_(1 - lr_Kx1 * flat.weight_decay_Kx1)
            flat.weight_KxP.addcdiv_(flat.mean_KxP * (-lr_Kx1 / corrected1_Kx1), root_KxP)

    @torch.no_grad()
    def state(self) -> list[dict[str, Tensor]]:
        """Moments of every role (K, P): whole, at the first process."""
        return [
            {
                name: torch.cat(
                    [self._processes.whole(flat.moments[name]).flatten(1) for flat in role], dim=1
                )
                for name in role[0].moments
            }
            for role in self._roles
        ]

    def restore(self, state: Sequence[dict[str, Tensor]] | None, steps: int) -> None:
        """Restores the moments that `state` returned after `steps` steps, at the first process."""
        self.steps = steps
        for index, role in enumerate(self._roles):
            start = 0
            for flat in role:
                end = start + flat.moments["mean"][0].numel()
                for name, moment in flat.moments.items():
                    saved = None if state is None else state[index][name][:, start:end]
                    self._processes.fill(moment, saved)
                start = end


def _flatten(group: PackGroup, processes: Processes) -> list[_Flat]:
    """Moves a role's parameters into one buffer for good; sharded ones stay as they are."""
    if processes.shards:
        return [_Flat(group, [param], param.detach(), processes) for param in group.params]
    weight_KxP = torch.cat([param.detach().flatten(1) for param in group.params], dim=1)
    start = 0
    for param in group.params:
        size = param[0].numel()
        param.data = weight_KxP[:, start : start + size].view(param.shape)
        start += size
    return [_Flat(group, group.params, weight_KxP, processes)]
