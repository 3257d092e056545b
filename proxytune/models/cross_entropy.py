"""Next-token losses of a pack without the logits of all members and tokens at once.

With a large vocabulary, the logits are the largest thing in a pack: 4 GB for 8 members, 4,096
tokens and 32,000 words, and three times that with what autograd keeps. Here only a block of them
exists at a time. Gradients are taken in the forward pass, while a block's logits are there, so
nothing is computed twice, and what is kept has the sizes of the inputs.

Shapes, as suffixes of names
    K members   M tokens   D d_model   V vocabulary   J members of a block   C tokens of a block
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F

from proxytune.models.norm import at_least_float32

BLOCK = 2**24
"""The most logits that exist at a time, unless one token has more: 64 MiB in float32. Small packs
are one block."""


def cross_entropy(x_KxMxD: Tensor, table_KxVxD: Tensor, next_M: Tensor) -> Tensor:
    """Mean cross-entropy of each member (K,), nats, where `x @ table.T` are the logits of x.

    `next_M` are the tokens to predict, the same for all members.
    """
    if torch.compiler.is_compiling() and _is_one_block(x_KxMxD, table_KxVxD):
        return _share(x_KxMxD, table_KxVxD, next_M, len(next_M))
    inputs = (x_KxMxD, table_KxVxD)
    differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    loss_K: Tensor = _CrossEntropy.apply(*inputs, next_M, differentiated)  # type: ignore[no-untyped-call]
    return loss_K


class _Block(NamedTuple):
    members: slice
    tokens: slice


def _blocks(members: int, tokens: int, vocab_size: int) -> Iterator[_Block]:
    """All members and tokens: members by the group while all tokens of one fit, else by one."""
    some_members = max(1, min(members, BLOCK // (tokens * vocab_size)))
    some_tokens = max(1, min(tokens, BLOCK // vocab_size))
    for first in range(0, members, some_members):
        for start in range(0, tokens, some_tokens):
            yield _Block(slice(first, first + some_members), slice(start, start + some_tokens))


def _is_one_block(x_KxMxD: Tensor, table_KxVxD: Tensor) -> bool:
    return x_KxMxD[..., 0].numel() * table_KxVxD.shape[1] <= BLOCK


class _CrossEntropy(Function):
    """Losses, and with them the gradients of their sum."""

    @staticmethod
    def forward(
        ctx: Any, x_KxMxD: Tensor, table_KxVxD: Tensor, next_M: Tensor, differentiated: bool
    ) -> Tensor:
        loss_K = x_KxMxD.new_zeros(len(x_KxMxD))
        if differentiated:
            ctx.grads = torch.empty_like(x_KxMxD), torch.zeros_like(table_KxVxD)
        for block in _blocks(len(x_KxMxD), len(next_M), table_KxVxD.shape[1]):
            inputs = x_KxMxD[block], table_KxVxD[block.members]
            if differentiated:
                loss_J, grads = _with_gradients(*inputs, next_M[block.tokens], len(next_M))
                ctx.grads[0][block] = grads[0]
                ctx.grads[1][block.members] += grads[1]
            else:
                loss_J = _share(*inputs, next_M[block.tokens], len(next_M))
            loss_K[block.members] += loss_J
        return loss_K

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_K: Tensor) -> tuple[Tensor | None, ...]:
        # Both are handed over: whoever asked may keep them as they are.
        grads, ctx.grads = ctx.grads, None
        return (*(grad.mul_(grad_K[:, None, None]) for grad in grads), None, None)


def _share(x_JxCxD: Tensor, table_JxVxD: Tensor, next_C: Tensor, count: int) -> Tensor:
    """What the block's tokens add to the mean losses over `count` tokens (J,)."""
    logits_JxCxV = at_least_float32(torch.bmm(x_JxCxD, table_JxVxD.transpose(1, 2)))
    next_JC = next_C.repeat(len(x_JxCxD))
    loss_JC = F.cross_entropy(logits_JxCxV.flatten(0, 1), next_JC, reduction="none")
    return loss_JC.view(len(x_JxCxD), -1).sum(dim=1) / count


@torch.enable_grad()
def _with_gradients(
    x_JxCxD: Tensor, table_JxVxD: Tensor, next_C: Tensor, count: int
) -> tuple[Tensor, Sequence[Tensor]]:
    """`_share`, and the gradients of its sum to both inputs."""
    inputs = x_JxCxD.detach().requires_grad_(), table_JxVxD.detach().requires_grad_()
    loss_J = _share(*inputs, next_C, count)
    return loss_J.detach(), torch.autograd.grad(loss_J.sum(), inputs)
