"""RMSNorm (arXiv 1910.07467) of a pack.

Notation: x̂ = x / √(mean x² + ε), y = g · x̂. Shapes, as suffixes of names: K members, D width;
`xx` stands for what lies between.
"""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself, or in float32 if it has fewer bits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def rms_norm(x_KxxD: Tensor, gain_KxD: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last axis, with each member's gains; in float32, or what is wider."""
    x_KxxD = at_least_float32(x_KxxD)
    if x_KxxD.is_cuda or torch.compiler.is_compiling():
        # One kernel there; else, autograd would run over the activations nine times on the CPU.
        gain = gain_KxD.view(gain_KxD.shape[0], *([1] * (x_KxxD.dim() - 2)), -1)
        return F.rms_norm(x_KxxD, x_KxxD.shape[-1:], eps=eps) * gain
    rows_KxMxD = x_KxxD.flatten(1, -2)
    y_KxMxD: Tensor = _RMSNorm.apply(rows_KxMxD, gain_KxD, eps)  # type: ignore[no-untyped-call]
    return y_KxMxD.view(x_KxxD.shape)


class _RMSNorm(Function):
    """Forward and backward in as few passes over the activations as there can be."""

    @staticmethod
    def forward(ctx, x_KxMxD: Tensor, gain_KxD: Tensor, eps: float) -> Tensor:  # type: ignore
        square_KxMx1 = torch.linalg.vector_norm(x_KxMxD, dim=-1, keepdim=True).square_()
        inverse_KxMx1 = square_KxMx1.div_(x_KxMxD.shape[-1]).add_(eps).rsqrt_()
        unit_KxMxD = x_KxMxD * inverse_KxMx1
        ctx.save_for_backward(unit_KxMxD, inverse_KxMx1, gain_KxD)
        return unit_KxMxD * gain_KxD[:, None]

    @staticmethod
    def backward(ctx, dy_KxMxD: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore
        # dx = (g·dy − x̂ · mean(g·dy·x̂)) / rms,  dg = Σ dy·x̂
        unit_KxMxD, inverse_KxMx1, gain_KxD = ctx.saved_tensors
        along_KxMxD = dy_KxMxD * unit_KxMxD
        mean_KxMx1 = torch.bmm(along_KxMxD, gain_KxD[..., None]).div_(gain_KxD.shape[1])
        dx_KxMxD = torch.addcmul(
            dy_KxMxD * gain_KxD[:, None], unit_KxMxD, mean_KxMx1, value=-1
        ).mul_(inverse_KxMx1)
        return dx_KxMxD, along_KxMxD.sum(1), None
