"""What a large vocabulary costs a pack: losses by the block against all logits at once.

The pack is the one that the product trains; the rival is the same with the loss as one would write
it, `F.cross_entropy` of all logits. Each trains in a process of its own, in turns, so that its
memory is its own; the median step counts. Memory is what training adds to the imports.

    python benchmarks/large_vocabulary.py --json
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from cases import pack_of
from machine import machine
from torch import Tensor
from torch.nn import functional as F

from proxytune.config.shape import Shape
from proxytune.models.transformer import PackedTransformer
from proxytune.training.pack import PackTrainer

WAYS = ("blocks", "whole")
MEMBERS = 8
SHAPE = Shape(d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=256, vocab_size=32_000)
"""Times 16 sequences: 4,096 tokens a step."""


def whole_loss(model: PackedTransformer, tokens_BxT1: Tensor) -> Tensor:
    """The plain formula (K,)."""
    logits_KMxV = model(tokens_BxT1[:, :-1]).flatten(0, 1)
    next_KM = tokens_BxT1[:, 1:].flatten().repeat(model.members)
    return F.cross_entropy(logits_KMxV, next_KM, reduction="none").view(model.members, -1).mean(1)


def train(way: str, steps: int, threads: int) -> dict[str, Any]:
    """Peak memory (MB), and seconds and losses of every step but the first, in this process.

    An evaluation follows each step: one batch without gradients.
    """
    with tempfile.TemporaryDirectory() as folder:
        pack = pack_of(MEMBERS, SHAPE, threads, 1 + steps, 1 + steps, Path(folder))
        trainer = PackTrainer(pack)
    # The peak so far is that of the imports and of the initial weights: forget it.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_kilobytes("VmRSS")
    if way == "whole":
        trainer.model.loss = partial(whole_loss, trainer.model)  # type: ignore[method-assign]
    wall, cpu, losses = [], [], []
    for nth in range(1 + steps):
        began = time.perf_counter(), time.process_time()
        losses += [evaluation.train_loss for evaluation in trainer.advance()]
        if nth > 0:
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
    on_gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else None
    return {
        "peak_mb": peak or (_status_kilobytes("VmHWM") - before) / 1e3,
        "seconds": wall,
        "cpu_seconds": cpu,
        "losses": losses,
    }


def _status_kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def in_turns(rounds: int, steps: int, threads: int) -> dict[str, dict[str, Any]]:
    """Each way in a process of its own, `rounds` times."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            arguments = ["--train", way, "--steps", str(steps), "--threads", str(threads)]
            done = subprocess.run(
                [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE
            )
            runs[way].append(json.loads(done.stdout))
    return {
        way: {
            "peak_mb": max(run["peak_mb"] for run in of),
            "seconds": statistics.median(s for run in of for s in run["seconds"]),
            "cpu_seconds": statistics.median(s for run in of for s in run["cpu_seconds"]),
            "losses": of[0]["losses"],
        }
        for way, of in runs.items()
    }


@click.command()
@click.option("--rounds", default=2, show_default=True, help="Processes of each way.")
@click.option("--steps", default=3, show_default=True, help="Steps that are timed in each.")
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--train", "way", type=click.Choice(WAYS), hidden=True)
def main(rounds: int, steps: int, threads: int, as_json: bool, way: str | None) -> None:
    """Compares peak memory and time a step."""
    if way is not None:
        print(json.dumps(train(way, steps, threads)))
        return
    found = in_turns(rounds, steps, threads)
    blocks, whole = (found[way] for way in WAYS)
    losses = zip(blocks.pop("losses"), whole.pop("losses"), strict=True)
    document = {
        "machine": machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "members": MEMBERS,
        "shape": SHAPE.model_dump(),
        "tokens_a_step": 16 * SHAPE.seq_len,
        "threads": threads,
        "logits_mb": MEMBERS * 16 * SHAPE.seq_len * SHAPE.vocab_size * 4 / 1e6,
        "ways": found,
        "memory_ratio": blocks["peak_mb"] / whole["peak_mb"],
        "time_ratio": blocks["seconds"] / whole["seconds"],
        "cpu_time_ratio": blocks["cpu_seconds"] / whole["cpu_seconds"],
        "largest_difference": max(abs(one - other) for one, other in losses),
    }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print(
        f"peak memory {blocks['peak_mb']:.0f} MB for {whole['peak_mb']:.0f} "
        f"({document['memory_ratio']:.2f}), step {blocks['seconds']:.2f} s for "
        f"{whole['seconds']:.2f} ({document['time_ratio']:.2f})"
    )


if __name__ == "__main__":
    main()
