"""The processes that train a pack together, seen from one of them: shards, shares and sums.

Shapes, as suffixes of names: K members, B sequences, T positions.
"""

from pathlib import Path

import torch
from torch import Tensor

from proxytune.models.transformer import PackedTransformer
from proxytune.training.checkpoint import Checkpoint


class Processes:
    """One process alone: it has all of everything."""

    rank = 0
    shards = False
    """Whether each process has a part of every parameter."""

    def place(self, model: PackedTransformer, device: torch.device) -> None:
        """Moves a model to the device: whole, or this process's part of every parameter."""
        model.to(device)

    def loss(self, model: PackedTransformer, batch_BxT1: Tensor) -> Tensor:
        """This process's part of the members' losses (K,), whose `total` is that of the batch."""
        return model.loss(batch_BxT1)

    def backward(self, loss_K: Tensor) -> None:
        """Adds the gradients of what `loss` returned, summed over processes."""
        torch.autograd.backward(loss_K.sum())

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        return tensor

    def agree(self, answer: bool) -> bool:
        """What the first process answers."""
        return answer

    def part(self, tensor: Tensor) -> Tensor:
        """This process's part of a parameter, or of what is laid out as one."""
        return tensor

    def whole(self, tensor: Tensor) -> Tensor:
        """A parameter as a whole, to be saved: at the first process; the others get none."""
        return tensor

    @torch.no_grad()
    def fill(self, tensor: Tensor, saved: Tensor | None) -> None:
        """Fills a parameter with a whole one, which the first process has."""
        assert saved is not None, "there is no other process"
        tensor.copy_(saved.reshape(tensor.shape))

    def load(self, path: Path | None) -> Checkpoint | None:
        """The checkpoint that the first process finds; its tensors are there alone."""
        return Checkpoint.load(path)


def processes_of(count: int, device: torch.device) -> Processes:
    """Those of a pack. Several have to be in torch's default process group already."""
    if count == 1:
        return Processes()
    # Not before it is needed: a second of every worker's start.
    from proxytune.training.sharded import ShardedProcesses

    return ShardedProcesses.joined(count, device)
