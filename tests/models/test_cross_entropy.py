"""Losses by the block are those of all logits at once, and so are their gradients.

Shapes, as suffixes of names: K members, M tokens, D width, V vocabulary.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from proxytune.config.shape import Shape
from proxytune.models import cross_entropy
from proxytune.models.parametrize import build_model
from proxytune.models.transformer import PackedTransformer
from tests.models.test_transformer import projection, tokens

MEMBERS = 3
BLOCKS = [
    pytest.param(2**24, id="one block"),
    pytest.param(2 * 48 * 256, id="two members"),
    pytest.param(48 * 256, id="one member"),
    pytest.param(20 * 256, id="20 tokens of one member"),
    pytest.param(1, id="one token of one member"),
]


class Operations(TorchDispatchMode):
    """The name of every operation, and how many numbers it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[str, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **kwargs or {})
        given = out if isinstance(out, tuple | list) else [out]
        self.sizes += [(str(func), t.numel()) for t in given if isinstance(t, Tensor)]
        return out


def model_of(shape: Shape) -> PackedTransformer:
    """Every member has an output multiplier and a seed of its own."""
    projections = [projection(shape, output_multiplier=1.0 + k) for k in range(MEMBERS)]
    return build_model(shape, projections, list(range(MEMBERS))).double()


def whole(model: PackedTransformer, batch: Tensor) -> Tensor:
    """The formula, from all logits at once."""
    logits_KMxV = model(batch[:, :-1]).flatten(0, 1)
    next_KM = batch[:, 1:].flatten().repeat(MEMBERS)
    return F.cross_entropy(logits_KMxV, next_KM, reduction="none").view(MEMBERS, -1).mean(1)


def gradients(loss: Tensor, model: PackedTransformer) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("tied", [False, True])
def test_losses_and_gradients_by_the_block_are_those_of_all_logits(
    shape: Shape, block: int, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "BLOCK", block)
    model = model_of(shape.at(tied=tied))
    batch = tokens(shape, extra=1)
    # Members count differently, so that one's gradient cannot stand for another's.
    weights_K = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    found_K, expected_K = model.loss(batch), whole(model, batch)
    torch.testing.assert_close(found_K, expected_K)
    found = gradients(found_K @ weights_K, model)
    for grad, expected in zip(found, gradients(expected_K @ weights_K, model), strict=True):
        torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_members_loss_is_the_same_whoever_trains_beside_it(
    shape: Shape, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "BLOCK", block)
    model, batch = model_of(shape), tokens(shape, extra=1)
    before_K = model.loss(batch)
    for grad in gradients(before_K[1], model):
        assert grad[0].abs().max() == grad[2].abs().max() == 0
    with torch.no_grad():
        for weight in model.parameters():
            weight[0] *= 3
    after_K = model.loss(batch)
    assert after_K[0] != before_K[0]
    assert torch.equal(after_K[1:], before_K[1:])


def test_without_gradients_losses_are_the_same_and_none_are_computed(shape: Shape) -> None:
    model, batch = model_of(shape), tokens(shape, extra=1)
    with torch.no_grad(), Operations() as done:
        loss_K = model.loss(batch)
    assert not any("backward" in name for name, _ in done.sizes)
    assert not loss_K.requires_grad
    assert torch.equal(loss_K, model.loss(batch))


@pytest.mark.parametrize(("block", "at_most"), [(1, 2400), (5000, 5000), (20_000, 20_000)])
def test_no_more_logits_exist_than_a_block_has_forward_and_backward(
    block: int, at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "BLOCK", block)
    x_KxMxD, table_KxVxD = (torch.randn(3, n, 4, requires_grad=True) for n in (200, 100))
    with Operations() as done:
        loss_K = cross_entropy.cross_entropy(x_KxMxD, table_KxVxD, torch.arange(200) % 100)
        torch.autograd.backward(loss_K.sum())
    # Inputs, and their gradients, have 2,400 numbers and 1,200; all logits are 60,000.
    assert max(size for _, size in done.sizes) == at_most
