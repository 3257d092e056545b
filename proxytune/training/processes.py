"""The processes that train a pack together, seen from one of them: shards, shares and sums.

FSDP2 cuts every parameter into as many parts as there are processes, along an axis that is not the
members'. Each process trains on its share of every batch. Whatever is looked at or saved is put
together again, so a pack may resume with another number of processes.

Shapes, as suffixes of names: K members, B sequences, T positions.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Shard

from proxytune.models import portable
from proxytune.models.transformer import PackedTransformer
from proxytune.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Processes:
    """One process alone, or one of those in torch's default process group."""

    count: int = 1
    rank: int = 0
    mesh: DeviceMesh | None = None
    """None for one process alone, which shards nothing."""

    @classmethod
    def of(cls, count: int, device: torch.device) -> Self:
        """Those of a pack. Several have to be in a process group already."""
        if count == 1:
            return cls()
        return cls(count, dist.get_rank(), init_device_mesh(device.type, (count,)))

    def place(self, model: PackedTransformer, device: torch.device) -> None:
        """Moves a model to the device: whole, or this process's part of every parameter.

        A block is there as a whole only while it is computed.
        """
        if self.mesh is None:
            model.to(device)
            return
        for module in (*model.blocks, model):
            fully_shard(module, mesh=self.mesh, shard_placement_fn=self._axis)
        register_fsdp_forward_method(model, "loss")

    def loss(self, model: PackedTransformer, batch_BxT1: Tensor) -> Tensor:
        """This process's part of the members' losses (K,), whose `total` is that of the batch."""
        if self.mesh is None:
            return model.loss(batch_BxT1)
        share_BxT1 = batch_BxT1.tensor_split(self.count)[self.rank]
        return model.loss(share_BxT1) * (len(share_BxT1) / len(batch_BxT1))

    def backward(self, loss_K: Tensor) -> None:
        """Adds the gradients of what `loss` returned, summed over processes."""
        # FSDP2 takes their mean.
        torch.autograd.backward(loss_K.sum() * self.count)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.mesh is not None:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, answer: bool) -> bool:
        """What the first process answers."""
        if self.mesh is None:
            return answer
        told = torch.tensor(float(answer), device=self.mesh.device_type)
        dist.broadcast(told, src=0)
        return bool(told.item())

    def whole(self, tensor: Tensor) -> Tensor:
        """A sharded tensor as a whole, to be saved: at the first process; the others get none."""
        if self.mesh is None:
            return tensor
        together = portable.whole(tensor)
        return (together if self.rank == 0 else together[:0]).cpu()

    @torch.no_grad()
    def fill(self, tensor: Tensor, saved: Tensor | None) -> None:
        """Fills a tensor that may be sharded with a whole one, which the first process has."""
        numbers = torch.empty(tensor.shape) if saved is None else saved.reshape(tensor.shape)
        tensor.copy_(portable.placed_like(tensor, numbers))

    def load(self, path: Path | None) -> Checkpoint | None:
        """The checkpoint that the first process finds; its tensors are there alone."""
        saved = Checkpoint.load(path) if self.rank == 0 else None
        if self.mesh is None:
            return saved
        told = [saved and replace(saved, weights={}, moments=())]
        dist.broadcast_object_list(told, src=0)
        return saved if self.rank == 0 else told[0]

    def _axis(self, param: nn.Parameter) -> Shard:
        """The first axis after that of the members that can be cut into equal parts."""
        sizes = list(param.shape[1:])
        return Shard(1 + next(i for i, size in enumerate(sizes) if size % self.count == 0))


def part(tensor: Tensor) -> Tensor:
    """This process's part of a tensor that may be sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
