"""One process of a sharded training; run by torchrun in test_sharding.py, prints its losses."""

import json
import sys

import torch
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM

import proxytune
from proxytune.config.shape import Shape
from tests.models.huggingface import config_of, next_token_loss

BASE = Shape(d_model=16, n_layers=2, n_heads=4, seq_len=16)
TARGET = Shape(d_model=32, n_layers=2, n_heads=8, n_kv_heads=2, seq_len=16)
SETTINGS = {"base": BASE, "target": TARGET, "hyperparameters": {"learning_rate": 0.02}}
STEPS, SEQUENCES = 8, 4


def losses() -> list[float]:
    """Losses of every step: each process trains on its part of the batch."""
    rank, processes = dist.get_rank(), dist.get_world_size()
    model = LlamaForCausalLM(LlamaConfig(**config_of(TARGET)))
    if processes > 1:
        mesh = init_device_mesh("cpu", (processes,))
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    proxytune.init_weights_(model, **SETTINGS, folded=True)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **SETTINGS, folded=True))
    draw = torch.Generator().manual_seed(0)
    told = []
    for _ in range(STEPS):
        whole = torch.randint(256, (SEQUENCES, TARGET.seq_len + 1), generator=draw)
        mine = whole.chunk(processes)[rank]
        loss = next_token_loss(model(mine[:, :-1], use_cache=False).logits, mine)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        told.append(mean.item() / processes)
    return told


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    result = losses()
    if dist.get_rank() == 0:
        with open(sys.argv[1], "w") as file:
            json.dump(result, file)
    dist.barrier()  # neither leaves while the other still speaks to it
    dist.destroy_process_group()
