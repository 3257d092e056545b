"""RMSNorm of a pack: its values, and a backward that is written by hand."""

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional as F

from proxytune.models.norm import rms_norm

EPS = 1e-6


def inputs(*shape: int) -> tuple[Tensor, Tensor]:
    """x of that shape, and gains (K, D), in double precision."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)
    gain = torch.randn(
        shape[0], shape[-1], dtype=torch.float64, generator=generator, requires_grad=True
    )
    return x, gain


def test_every_member_gets_torchs_norm_with_its_own_gains() -> None:
    x_KxMxD, gain_KxD = inputs(3, 5, 8)
    expected = [
        F.rms_norm(x, (8,), weight=gain, eps=EPS)
        for x, gain in zip(x_KxMxD, gain_KxD, strict=True)
    ]
    torch.testing.assert_close(rms_norm(x_KxMxD, gain_KxD, EPS), torch.stack(expected))


def test_heads_are_normed_one_by_one() -> None:
    x_KxMxNxH, gain_KxH = inputs(2, 5, 3, 4)
    one_by_one = [rms_norm(x_KxMxNxH[:, :, n], gain_KxH, EPS) for n in range(3)]
    torch.testing.assert_close(rms_norm(x_KxMxNxH, gain_KxH, EPS), torch.stack(one_by_one, dim=2))


def test_backward_is_the_gradient_of_forward() -> None:
    assert gradcheck(lambda x, gain: rms_norm(x, gain, 0.1), inputs(2, 3, 4))


def test_a_row_of_zeros_has_a_finite_gradient() -> None:
    x_KxMxD, gain_KxD = torch.zeros(1, 1, 4, requires_grad=True), torch.ones(1, 4)
    rms_norm(x_KxMxD, gain_KxD, EPS).sum().backward()
    assert x_KxMxD.grad is not None
    assert x_KxMxD.grad.isfinite().all()
