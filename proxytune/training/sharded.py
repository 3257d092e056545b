"""Several processes that train a pack together, each with a part of every parameter.

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
from proxytune.training.processes import Processes


@dataclass(frozen=True, kw_only=True)
class ShardedProcesses(Processes):
    """One of those in torch's default process group."""

    count: int
    rank: int
    mesh: DeviceMesh
    shards = True

    @classmethod
    def joined(cls, count: int, device: torch.device) -> Self:
        """All of the group."""
        mesh = init_device_mesh(device.type, (count,))
        return cls(count=count, rank=dist.get_rank(), mesh=mesh)

    def place(self, model: PackedTransformer, device: torch.device) -> None:
        """Shards a model; a block is there as a whole only while it is computed."""
        for module in (*model.blocks, model):
            fully_shard(module, mesh=self.mesh, shard_placement_fn=self._axis)
        register_fsdp_forward_method(model, "loss")

    def loss(self, model: PackedTransformer, batch_BxT1: Tensor) -> Tensor:
        share_BxT1 = batch_BxT1.tensor_split(self.count)[self.rank]
        return model.loss(share_BxT1) * (len(share_BxT1) / len(batch_BxT1))

    def backward(self, loss_K: Tensor) -> None:
        # FSDP2 takes the mean of their gradients.
        torch.autograd.backward(loss_K.sum() * self.count)

    def total(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor)
        return tensor

    def agree(self, answer: bool) -> bool:
        told = torch.tensor(float(answer), device=self.mesh.device_type)
        dist.broadcast(told, src=0)
        return bool(told.item())

    def part(self, tensor: Tensor) -> Tensor:
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor

    def whole(self, tensor: Tensor) -> Tensor:
        together = portable.whole(tensor)
        return (together if self.rank == 0 else together[:0]).cpu()

    @torch.no_grad()
    def fill(self, tensor: Tensor, saved: Tensor | None) -> None:
        numbers = torch.empty(tensor.shape) if saved is None else saved.reshape(tensor.shape)
        tensor.copy_(portable.placed_like(tensor, numbers))

    def load(self, path: Path | None) -> Checkpoint | None:
        saved = Checkpoint.load(path) if self.rank == 0 else None
        told = [saved and replace(saved, weights={}, moments=())]
        dist.broadcast_object_list(told, src=0)
        return saved if self.rank == 0 else told[0]

    def _axis(self, param: nn.Parameter) -> Shard:
        """The first axis after that of the members that can be cut into equal parts."""
        sizes = list(param.shape[1:])
        return Shard(1 + next(i for i, size in enumerate(sizes) if size % self.count == 0))
