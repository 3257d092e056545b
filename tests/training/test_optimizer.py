"""A pack of one is torch.optim.AdamW; clipping is per member."""

import pytest
import torch
from torch import nn

from proxytune.models.parametrize import PackGroup
from proxytune.scaling.rules import Role
from proxytune.training.optimizer import PackedAdamW


def group(params: list[nn.Parameter], lr: list[float], decay: list[float]) -> PackGroup:
    eps = [1e-3] * len(lr)
    return PackGroup(Role.HIDDEN, params, *(torch.tensor(v) for v in (lr, decay, eps)))


def test_each_member_moves_as_with_torch_adamw() -> None:
    draw = torch.Generator().manual_seed(0)
    start = [torch.randn(2, 3, 4, generator=draw), torch.randn(2, 5, generator=draw)]
    lr, decay, beta1, beta2 = [0.1, 0.02], [0.3, 0.0], [0.9, 0.5], [0.95, 0.99]
    packed = [nn.Parameter(w.clone()) for w in start]
    optimizer = PackedAdamW(
        [group(packed, lr, decay)], torch.tensor(beta1), torch.tensor(beta2), clip_norm=None
    )
    plain = [[nn.Parameter(w[member].clone()) for w in start] for member in range(2)]
    rivals = [
        torch.optim.AdamW(
            plain[m], lr=lr[m], weight_decay=decay[m], betas=(beta1[m], beta2[m]), eps=1e-3
        )
        for m in range(2)
    ]
    for step in range(20):
        torch.autograd.backward(sum((p * p.sin()).sum() for p in packed))
        optimizer.step(torch.tensor([1.0, 1.0]) if step % 2 else torch.tensor([0.5, 0.5]))
        for member, rival in enumerate(rivals):
            rival.zero_grad()
            torch.autograd.backward(sum((p * p.sin()).sum() for p in plain[member]))
            rival.param_groups[0]["lr"] = lr[member] * (1.0 if step % 2 else 0.5)
            rival.step()
    for member in range(2):
        for ours, theirs in zip(packed, plain[member], strict=True):
            torch.testing.assert_close(ours[member], theirs)


def test_clipping_is_per_member() -> None:
    param = nn.Parameter(torch.zeros(2, 3))
    optimizer = PackedAdamW(
        [group([param], [1.0, 1.0], [0.0, 0.0])], torch.zeros(2), torch.zeros(2), clip_norm=1.0
    )
    param.grad = torch.tensor([[300.0, 400.0, 0.0], [0.003, 0.004, 0.0]])
    norms = optimizer.step(torch.ones(2))
    assert norms.tolist() == pytest.approx([500.0, 0.005])
    # With both betas at 0 a step is g / (|g| + eps): it shows the clipped gradient.
    clipped = torch.tensor([0.6, 0.8, 0.0])
    torch.testing.assert_close(param[0].detach(), -clipped / (clipped + 1e-3))
    small = torch.tensor([0.003, 0.004, 0.0])
    torch.testing.assert_close(param[1].detach(), -small / (small + 1e-3))
