"""Step time against members, shape and threads: where a pack begins to pay, and where it ends.

python benchmarks/scaling.py --json
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from cases import SHAPES, pack_of
from machine import machine

from proxytune.training.pack import PackTrainer

CHUNKS = 5
"""Chunks of steps, of which the first warms up and the fastest of the others counts."""
KNEE = 1.03
"""The knee is the smallest pack whose time a member is within this factor of the best."""


def step_seconds(shape: str, members: int, threads: int, steps: int, folder: Path) -> float:
    """One optimizer step of a pack, its share of the evaluation included."""
    pack = pack_of(members, SHAPES[shape], threads, steps * CHUNKS, CHUNKS, folder)
    trainer, seconds = PackTrainer(pack), []
    while not trainer.done:
        began = time.perf_counter()
        trainer.advance()
        seconds.append((time.perf_counter() - began) / steps)
    return min(seconds[1:])


def measure(
    shape: str, threads: int, sizes: Sequence[int], steps: int, folder: Path
) -> dict[str, Any]:
    """One shape with one number of threads, over pack sizes."""
    seconds = {k: step_seconds(shape, k, threads, steps, folder) for k in sizes}
    members = {k: s / k for k, s in seconds.items()}
    best = min(members.values())
    return {
        "shape": shape,
        "threads": threads,
        "step_ms": {k: 1e3 * s for k, s in seconds.items()},
        "member_step_ms": {k: 1e3 * s for k, s in members.items()},
        "gain": members[min(sizes)] / best,
        "knee": min(k for k, s in members.items() if s <= KNEE * best),
    }


@click.command()
@click.option("--shape", "shapes", multiple=True, type=click.Choice(list(SHAPES)))
@click.option("--threads", multiple=True, type=int, help="CPU threads.  [default: 1, 2]")
@click.option("--members", "sizes", multiple=True, type=int, help="[default: 1, 2, 4, …, 32]")
@click.option("--steps", default=4, show_default=True, help="Steps in a chunk.")
@click.option("--json", "as_json", is_flag=True)
def main(
    shapes: Sequence[str],
    threads: Sequence[int],
    sizes: Sequence[int],
    steps: int,
    as_json: bool,
) -> None:
    """Times packs of several sizes."""
    with tempfile.TemporaryDirectory() as folder:
        found = [
            measure(shape, t, sizes or (1, 2, 4, 8, 16, 32), steps, Path(folder))
            for shape in shapes or ("quickstart", "width-64", "width-128")
            for t in threads or (1, 2)
        ]
    document = {
        "machine": machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cases": found,
    }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for case in found:
        times = "  ".join(f"{k}: {ms:.1f}" for k, ms in case["member_step_ms"].items())
        print(f"{case['shape']:10} {case['threads']} threads  ms a member and step  {times}")


if __name__ == "__main__":
    main()
