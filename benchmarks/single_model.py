"""Does packing hide a slow trainer? A pack of one against a plain model, alone on the machine.

The rivals are plain.py with torch.optim.AdamW(fused=True), and the same under torch.compile, which
a compiled pack meets. All train the same trial; chunks of steps take turns, and the median chunk
counts.

    python benchmarks/single_model.py --json
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from cases import SHAPES, pack_of
from machine import machine
from plain import PlainTrainer

from proxytune.packs.pack import PackSpec
from proxytune.training.compiling import can_compile
from proxytune.training.pack import PackTrainer

COMPILED = {"pack": "compiled pack", "plain": "compiled"}
"""The ways that compile, by what they compile."""
WAYS = (*COMPILED, *COMPILED.values())
CHUNK = 5
"""Steps in a chunk; it ends with one batch of validation, in every way."""


def chunks_of(way: str, pack: PackSpec) -> Callable[[], Any]:
    """Trains a chunk more each time it is called."""
    compiled = way in COMPILED.values()
    if way.endswith("pack"):
        return PackTrainer(pack.model_copy(update={"compiled": compiled})).advance
    trainer, stops = PlainTrainer(pack, compile=compiled), iter(_stops(pack))

    def advance() -> None:
        trainer.train_to(next(stops))
        trainer.validate()

    return advance


def _stops(pack: PackSpec) -> Sequence[int]:
    return pack.training.evaluation_steps()


def tokens_per_second(
    case: tuple[str, int], ways: Sequence[str], chunks: int, folder: Path
) -> dict[str, float]:
    """The speed of each way, from chunks in turn."""
    shape, threads = case
    pack = pack_of(1, SHAPES[shape], threads, CHUNK * (chunks + 2), chunks + 2, folder)
    advance = {way: chunks_of(way, pack) for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for nth in range(chunks + 2):
        for way in ways:
            began = time.perf_counter()
            advance[way]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            # The first two compile and warm up.
            if nth >= 2:
                seconds[way].append(time.perf_counter() - began)
    tokens = CHUNK * pack.training.batch_size * pack.shape.seq_len
    return {way: tokens / statistics.median(times) for way, times in seconds.items()}


def peak_megabytes(way: str, case: tuple[str, int]) -> float:
    """What training takes in memory, in a process of its own."""
    arguments = ["--memory-of", way, "--shape", case[0], "--threads", str(case[1])]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _own_peak(way: str, case: tuple[str, int]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        advance = chunks_of(way, pack_of(1, SHAPES[case[0]], case[1], CHUNK, 1, Path(folder)))
        # The peak so far is that of the imports: forget it.
        Path("/proc/self/clear_refs").write_text("5")
        before = _status_kilobytes("VmRSS")
        advance()
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return (_status_kilobytes("VmHWM") - before) / 1e3


def _status_kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measure(
    case: tuple[str, int], ways: Sequence[str], chunks: int, folder: Path
) -> dict[str, Any]:
    """One shape with one number of threads."""
    speeds = tokens_per_second(case, ways, chunks, folder)
    shape = SHAPES[case[0]]
    return {
        "shape": case[0],
        "parameters": shape.count_parameters(),
        "threads": case[1],
        "tokens_per_second": speeds,
        "gflops_per_second": speeds["pack"] * shape.training_flops_per_token() / 1e9,
        "ratios": {
            plain: speeds[pack] / speeds[plain]
            for pack, plain in (tuple(COMPILED), tuple(COMPILED.values()))
            if pack in speeds
        },
        "peak_mb": {way: peak_megabytes(way, case) for way in COMPILED},
    }


@click.command()
@click.option("--chunks", default=20, show_default=True, help="Chunks that are timed.")
@click.option("--shape", "shapes", multiple=True, type=click.Choice(list(SHAPES)))
@click.option("--threads", multiple=True, type=int, help="CPU threads.  [default: 1, 2]")
@click.option("--json", "as_json", is_flag=True)
@click.option("--memory-of", type=click.Choice(WAYS), hidden=True)
def main(
    chunks: int,
    shapes: Sequence[str],
    threads: Sequence[int],
    as_json: bool,
    memory_of: str | None,
) -> None:
    """Compares a pack of one with a plain model."""
    cases = [(s, t) for s in shapes or ("quickstart", "width-128") for t in threads or (1, 2)]
    if memory_of is not None:
        print(_own_peak(memory_of, cases[0]))
        return
    ways = WAYS if can_compile() else tuple(COMPILED)
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(case, ways, chunks, Path(folder)) for case in cases]
    document = {
        "machine": machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "ratio": min(case["ratios"]["plain"] for case in found),
        "ratio_vs_compiled": min(
            (case["ratios"]["compiled"] for case in found if "compiled" in case["ratios"]),
            default=None,
        ),
        "cases": found,
    }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for case in found:
        ratios = ", ".join(f"{ratio:.2f} of {way}" for way, ratio in case["ratios"].items())
        print(f"{case['shape']:10} {case['threads']} threads: {ratios}")


if __name__ == "__main__":
    main()
