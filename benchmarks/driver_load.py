"""Can one driver keep hundreds of GPUs busy? A large study, with simulated training.

Everything but training is real: Optuna's journal, the MLflow store and Parquet in a home of its
own, the packs, the recorder.

    python benchmarks/driver_load.py --trials 10000 --json
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from machine import machine

from proxytune.config.execution import ExecutionSpec
from proxytune.config.experiment import ExperimentSpec
from proxytune.config.search import SearchSpec
from proxytune.config.study import StudySpec
from proxytune.execution.ray.quiet import hush
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.ports import Executor, PackSource
from proxytune.search.source import Progress
from proxytune.search.study import Study
from proxytune.workflows.studies import run_study
from proxytune.workflows.workspace import Workspace

PACK = 16
EARLY = 1000
"""Finished trials at which memory is taken for the first time."""
HISTORIES = 100, 1_000, 10_000
"""Trials before the default sampler is asked, of one study that grows."""
PACKS_ASKED = 4
"""Packs that it is then asked for."""
RAY_PACKS = 64


class SimulatedPack:
    """A pack (a PackRunner) whose losses are drawn, not trained."""

    def __init__(self, pack: PackSpec) -> None:
        self._pack, self._random = pack, random.Random(pack.name)
        self._numbers = [member.number for member in pack.members]
        self._steps = list(pack.training.evaluation_steps())

    @property
    def done(self) -> bool:
        return not self._steps or not self._numbers

    def advance(self) -> Sequence[Evaluation]:
        step = self._steps.pop(0)
        return [self._evaluation(number, step) for number in self._numbers]

    def drop(self, numbers: Collection[int]) -> None:
        self._numbers = [number for number in self._numbers if number not in numbers]

    def _evaluation(self, number: int, step: int) -> Evaluation:
        loss = 3 + self._random.random() + 10 / step
        return Evaluation(
            number=number,
            step=step,
            tokens=4096 * step,
            train_loss=loss - 0.05 * self._random.random(),
            validation_loss=loss,
            grad_norm=self._random.random(),
            lr_factor=1 - self._random.random() / step,
            seconds=step * self._random.random(),
        )


@dataclass
class Simulated:
    """Trains (an Executor) as a large cluster does: many packs at once, an evaluation in turn."""

    in_flight: int
    seconds: list[float] = field(default_factory=list)
    """How long each run took."""

    def __enter__(self) -> "Simulated":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted."""
        began = time.monotonic()
        packs: deque[tuple[PackSpec, SimulatedPack]] = deque()
        while True:
            while PACK * len(packs) < self.in_flight and (pack := source.next_pack()):
                packs.append((pack, SimulatedPack(pack)))
            if not packs:
                break
            pack, training = packs.popleft()
            training.drop(source.report(pack, training.advance()))
            if training.done:
                source.finish(pack, training.details())
            else:
                packs.append((pack, training))
        self.seconds.append(time.monotonic() - began)


class Load(Workspace):
    """A workspace whose training is simulated."""

    def __init__(self, home: Path, cluster: Executor) -> None:
        super().__init__(home)
        self._cluster = cluster

    def executor(self, spec: ExperimentSpec) -> Executor:
        return self._cluster


@dataclass
class Meter:
    """Counts finished trials (an Observer), and takes the memory of this process."""

    finished: int = 0
    early_mb: float | None = None
    remarks: list[str] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.finished += len(progress.finished)
        self.remarks += progress.remarks
        if self.early_mb is None and self.finished >= EARLY:
            self.early_mb = memory_mb()


def memory_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def study_spec(folder: Path, trials: int, sampler: str) -> StudySpec:
    """A study with four evaluations a trial, and three searched hyperparameters."""
    text = folder / "text.txt"
    text.write_text("".join(f"line {i} of {i * i % 97}\n" for i in range(5000)))
    return StudySpec.model_validate(
        {
            "name": f"load-{trials}",
            "proxy": {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "seq_len": 16},
            "data": {"text": [str(text)]},
            "training": {"steps": 100, "batch_size": 4, "evaluations": 4},
            "search": {
                "trials": trials,
                "pack_size": PACK,
                "sampler": sampler,
                "space": {
                    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
                    "weight_decay": {"low": 0.0, "high": 0.5},
                    "init_std": {"low": 1e-3, "high": 1e-1, "log": True},
                },
            },
        }
    )


def run_load(folder: Path, trials: int, in_flight: int, sampler: str) -> dict[str, Any]:
    """Runs the large study, from nothing to its confirmed selection, in all stores."""
    cluster, meter = Simulated(in_flight), Meter()
    workspace = Load(folder, cluster)
    spec = study_spec(folder, trials, sampler)
    study = Study.create(workspace.opened_optuna, spec)
    began = time.monotonic()
    run_study(spec.name, workspace, meter)
    late_mb = memory_mb()
    assert len(study.finished()) == meter.finished == trials
    searched, whole = cluster.seconds[0], time.monotonic() - began
    # A run waits for MLflow for a while; what is left then is for `study sync`.
    delivered = len(workspace.mlflow().open(spec))
    return {
        "finished_per_second": trials / searched,
        "memory_mb": {"early": meter.early_mb, "end": late_mb},
        "memory_ratio": late_mb / meter.early_mb if meter.early_mb else None,
        "mlflow": {
            "delivered": delivered,
            "delivered_per_second": delivered / whole,
        },
        "remarks": meter.remarks,
    }


def ask_milliseconds(folder: Path) -> dict[int, float]:
    """What the default sampler takes a member, by the trials that the study has by then."""
    spec = study_spec(folder, HISTORIES[-1], "random")
    study = Study.create(Load(folder).opened_optuna, spec)
    default = SearchSpec.model_fields["sampler"].default

    def source(trials: int, sampler: str) -> PackSource:
        search = spec.search.model_copy(update={"trials": trials, "sampler": sampler})
        study.spec = spec.model_copy(update={"search": search})
        return study.source(Path("tokens"), folder / "packs", Meter())

    found = {}
    for history in HISTORIES:
        # With those that the default sampler was asked for before.
        Simulated(PACK).run(source(history, "random"))
        asked, times = source(history + PACK * PACKS_ASKED, default), []
        for _ in range(PACKS_ASKED):
            began = time.monotonic()
            assert asked.next_pack() is not None
            times.append((time.monotonic() - began) / PACK * 1e3)
        found[history] = statistics.median(times)
    return found


def ray_milliseconds(folder: Path) -> float:
    """What a result of a pack costs through Ray Tune, beyond what it costs without."""
    hush()
    from proxytune.execution.ray.executor import RayExecutor

    seconds = []
    for executor in (Simulated(PACK), RayExecutor(SimulatedPack, ExecutionSpec())):
        spec = study_spec(folder, RAY_PACKS * PACK, "random")
        spec = spec.model_copy(update={"name": f"through-{type(executor).__name__.lower()}"})
        study = Study.create(Load(folder).opened_optuna, spec)
        with executor:
            began = time.monotonic()
            executor.run(study.source(Path("tokens"), folder / "packs", Meter()))
            seconds.append(time.monotonic() - began)
    return (seconds[1] - seconds[0]) / (RAY_PACKS * spec.training.evaluations) * 1e3


@click.command()
@click.option("--trials", default=10_000, show_default=True)
@click.option("--in-flight", default=1_000, show_default=True, help="Members in training at once.")
@click.option("--sampler", default="random", show_default=True)
@click.option("--ray", "through_ray", is_flag=True, help="Also: what Ray Tune costs a result.")
@click.option("--json", "as_json", is_flag=True)
def main(trials: int, in_flight: int, sampler: str, through_ray: bool, as_json: bool) -> None:
    """Measures the driver under load."""
    found: dict[str, Any] = {"machine": machine(), "trials": trials, "in_flight": in_flight}
    with tempfile.TemporaryDirectory() as name:
        found |= run_load(Path(name), trials, in_flight, sampler)
    found["default_sampler"] = SearchSpec.model_fields["sampler"].default
    with tempfile.TemporaryDirectory() as name:
        found["default_sampler_ask_ms"] = ask_milliseconds(Path(name))
    if through_ray:
        with tempfile.TemporaryDirectory() as name:
            found["tune_result_ms"] = ray_milliseconds(Path(name))
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    for key, value in found.items():
        print(f"{key:24} {value}")


if __name__ == "__main__":
    main()
