"""The plain example on several processes: torchrun starts them, and each takes a share of a batch.

Gradients are averaged over the processes (DDP), so losses are those of one process.
"""

import math
import sys
from pathlib import Path

import torch
from torch import distributed, nn

import proxytune
from proxytune import trainer
from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData

sys.path.insert(0, str(Path(__file__).parents[1] / "plain"))
from train import LlamaLike, rate_factor


class Loss(nn.Module):
    """The model behind a forward that DDP sees."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model.loss(batch)


def main():
    cuda = torch.cuda.is_available()
    distributed.init_process_group("nccl" if cuda else "gloo")
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    settings = trainer.load()
    shape, training = settings["shape"], settings["training"]
    rules = {
        "base": settings["base"],
        "target": shape,
        "hyperparameters": settings["hyperparameters"],
        "parameterization": settings["parameterization"],
    }
    model = LlamaLike(shape, proxytune.forward_multipliers(**rules)).to(device)
    proxytune.init_weights_(model, **rules, seed=settings["seed"], as_built_in=True)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **rules))
    peaks = [group["lr"] for group in optimizer.param_groups]
    loss_of = nn.parallel.DistributedDataParallel(Loss(model))

    tokens = TokenData.load(Path(settings["tokens"]))
    size = (training["batch_size"], shape["seq_len"])
    held_out = validation_batches(tokens.validation, training["evaluation_batches"], *size)
    for step in range(training["steps"]):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate_factor(training, step)
        batch = training_batch(tokens.train, settings["data_seed"], step, *size)
        loss_of(torch.as_tensor(batch[rank::processes], device=device)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), training["clip_norm"] or math.inf)
        optimizer.step()
        optimizer.zero_grad()
        if step + 1 in training["evaluation_steps"]:
            with torch.no_grad():
                losses = [model.loss(torch.as_tensor(b, device=device)) for b in held_out]
            trainer.report(step + 1, validation_loss=sum(losses) / len(losses))
    distributed.barrier()  # no process leaves while another still speaks to it
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
