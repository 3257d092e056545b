"""Measures how fast packs of one shape train here, and in how much memory, in a few seconds."""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from proxytune.config.execution import ExecutionSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.data.tokens import SPLITS, save_arrays
from proxytune.errors import PackTooLarge
from proxytune.packs.calibration import Calibration, Compiling, Speed
from proxytune.packs.pack import Member, PackSpec
from proxytune.training.compiling import can_compile
from proxytune.training.pack import PackTrainer

MOST_MEMBERS = 1024
WORTH = 0.97
"""A size is a gain if its time per member is below this share of the best; two without end it."""
SECONDS = {"cpu": 4.0, "cuda": 40.0}
"""Time after which no larger pack starts."""
CHUNK_SECONDS, MOST_STEPS, REPEATS = 0.1, 16, 3
"""Steps are timed in chunks of about this length; the fastest of the repeats counts."""
EVALUATION = 1 / 3
"""Cost of a forward pass over one batch, in steps: 2 of the 6 FLOPs per weight and token."""
COMPILING_SECONDS = 60.0
"""Training that is over by then is not worth compiling: that takes 10 to 60 seconds."""
SAFE = {"cpu": 0.8, "cuda": 0.9}
"""Share of the memory that packs may use."""


def device_name(threads: int) -> str:
    """The name of the device that packs train on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_cpu_name()}, threads: {threads}"


def pack_memory(execution: ExecutionSpec) -> int:
    """Bytes for one pack: its share of the GPU, or its cores' share of the free memory."""
    if torch.cuda.is_available():
        share = min(1.0, execution.gpus_per_pack or 1.0)
        total = torch.cuda.get_device_properties(0).total_memory
        return int(total * share * SAFE["cuda"])
    share = min(1.0, execution.cpus_per_pack / (os.cpu_count() or 1))
    return int(_free_memory() * share * SAFE["cpu"])


def most_memory() -> int:
    """Bytes that a pack can have here if it trains alone: a whole GPU, or all free memory."""
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return _free_memory()


def packs_here(execution: ExecutionSpec) -> int:
    """Number of packs that train at the same time on this machine alone."""
    if execution.executor == "local":
        return 1
    cards = torch.cuda.device_count()
    by_gpu = int(cards / (execution.gpus_per_pack or 1.0)) if cards else None
    by_cpu = (os.cpu_count() or 1) // execution.cpus_per_pack
    return max(1, min(by_cpu, by_gpu or by_cpu))


def calibrate(shape: Shape, training: TrainingSpec, execution: ExecutionSpec) -> Calibration:
    """Trains packs of 1, 2, 4, … members until there is no gain, or memory or time runs out."""
    memory, threads = pack_memory(execution), execution.cpus_per_pack
    speeds: list[Speed] = []
    too_large = None
    with tempfile.TemporaryDirectory(prefix="proxytune-calibration-") as folder:
        tokens = _random_tokens(Path(folder), shape)
        try:
            for speed in _speeds(shape, training, threads, tokens):
                speeds.append(speed)
                if 2 * speed.memory > memory or _is_flat(speeds):
                    break
        except PackTooLarge:
            too_large = 2 * speeds[-1].members if speeds else 1
    return Calibration(
        device=device_name(threads), memory=memory, speeds=tuple(speeds), too_large=too_large
    )


def calibrate_compiling(
    shape: Shape, training: TrainingSpec, execution: ExecutionSpec, members: int
) -> Compiling | None:
    """Times a pack's steps without torch.compile and with it; None where it cannot pay.

    It cannot where there is no compiler, or where training ends about as soon as compiling. A pack
    that does not fit into memory will train in parts, so it says nothing.
    """
    if not can_compile():
        return None
    with (
        tempfile.TemporaryDirectory(prefix="proxytune-calibration-") as folder,
        suppress(PackTooLarge),
    ):
        tokens = _random_tokens(Path(folder), shape)

        def pack(steps: int) -> PackSpec:
            return _pack(shape, training, execution.cpus_per_pack, tokens, members, steps)

        once = _time(pack(1), 1)
        if once * training.steps < COMPILING_SECONDS:
            return None
        steps = _steps_of_a_chunk(once)
        plain = _time(pack(steps), steps)
        # This process may have compiled the same before, but the next one has not.
        torch.compiler.reset()
        first, fastest = _chunks(pack(steps).model_copy(update={"compiled": True}))
        return Compiling(
            members=members,
            plain=plain,
            compiled=fastest / (steps + EVALUATION),
            startup=max(0.0, first - fastest),
        )
    return None


def _speeds(shape: Shape, training: TrainingSpec, threads: int, tokens: Path) -> Iterator[Speed]:
    """Measures ever larger packs while there is time for the next."""
    ends = time.perf_counter() + SECONDS[_device()]
    # The first run also warms up libraries, and gives the length of a step.
    steps, start = 1, _memory_now()
    _forget_peak()
    first = _time(_pack(shape, training, threads, tokens, 1, steps), steps)
    if time.perf_counter() >= ends:
        # Slow steps are a measurement, too.
        yield Speed(members=1, seconds=first, memory=max(0, _peak() - start))
        return
    steps = _steps_of_a_chunk(first)
    members, took = 1, 0.0
    while members <= MOST_MEMBERS and time.perf_counter() + 2 * took < ends:
        began = time.perf_counter()
        _forget_peak()
        pack = _pack(shape, training, threads, tokens, members, steps)
        seconds = _time(pack, steps)
        yield Speed(members=members, seconds=seconds, memory=max(0, _peak() - start))
        members, took = 2 * members, time.perf_counter() - began


def _is_flat(speeds: Sequence[Speed]) -> bool:
    """Whether the last two sizes brought no gain."""
    times = [speed.seconds_per_member for speed in speeds]
    return len(times) > 2 and min(times[-2:]) > WORTH * min(times[:-2])


def _time(pack: PackSpec, steps: int) -> float:
    """Seconds per step, after a first chunk."""
    return _chunks(pack)[1] / (steps + EVALUATION)


def _steps_of_a_chunk(seconds: float) -> int:
    """As many as take about CHUNK_SECONDS, where one takes so many seconds."""
    return max(1, min(MOST_STEPS, round(CHUNK_SECONDS / seconds)))


def _chunks(pack: PackSpec) -> tuple[float, float]:
    """Seconds of the first chunk, which may compile, and of the fastest of the others."""
    trainer = PackTrainer(pack)
    began = time.perf_counter()
    trainer.advance()
    first, fastest = time.perf_counter() - began, float("inf")
    while not trainer.done and (fastest == float("inf") or fastest < 3 * CHUNK_SECONDS):
        began = time.perf_counter()
        # Evaluations are numbers on the host, so no work is pending after this.
        trainer.advance()
        fastest = min(fastest, time.perf_counter() - began)
    return first, fastest


def _pack(
    shape: Shape, training: TrainingSpec, threads: int, tokens: Path, members: int, steps: int
) -> PackSpec:
    settings = BaseHyperparameters.model_validate(
        BaseHyperparameters.defaults_at(shape) | {"learning_rate": 1e-4}
    )
    short = {
        "steps": steps * (1 + REPEATS),
        "evaluations": 1 + REPEATS,
        "evaluation_batches": 1,
        "divergence_factor": 1e6,
    }
    return PackSpec(
        name="calibration",
        shape=shape,
        base=shape,
        parameterization=Parameterization(),
        training=training.model_copy(update=short),
        data_seed=0,
        tokens=tokens,
        members=tuple(
            Member(number=number, seed=0, hyperparameters=settings) for number in range(members)
        ),
        threads=threads,
    )


def _random_tokens(folder: Path, shape: Shape) -> Path:
    """A corpus of noise, since the content does not change the cost."""
    noise = np.random.default_rng(0).integers(shape.vocab_size, size=64 * (shape.seq_len + 1))
    save_arrays(folder, dict.fromkeys(SPLITS, noise))
    return folder


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _memory_now() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else _status("VmRSS")


def _peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _status("VmHWM")


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        # If the kernel refuses, the peak is that of the whole process: an upper bound.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    return _kibibytes(Path("/proc/self/status"), key)


def _free_memory() -> int:
    return _kibibytes(Path("/proc/meminfo"), "MemAvailable")


def _kibibytes(file: Path, key: str) -> int:
    """A line such as `VmRSS:  2204 kB`, in bytes."""
    line = next(line for line in file.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
