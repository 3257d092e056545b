"""Packs on a Ray cluster: one Ray Tune trial a pack, and no logic in between.

Tune is started anew each time and never restored: the study in Optuna's storage and one checkpoint
file a pack are the state, so a dead worker, node or driver are all the same case.
"""

import math
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from proxytune.errors import InputError, PackTooLarge, RunError
from proxytune.search.executor import PackRunner, PackSource, Result, RunnerFactory, refuse
from proxytune.spec.pack import Evaluation, PackSpec
from proxytune.spec.search import ExecutionSpec

MAX_FAILURES = 2
"""Lost workers a pack survives."""
EVALUATIONS, ERROR, TOO_LARGE, STOP = "evaluations", "error", "too_large", "stop"
OBJECT_STORE_BYTES = 80 * 2**20
"""Evaluations are all that travels."""


class RayExecutor:
    """Trains as many packs at once as the cluster's CPUs and GPUs hold, or as it is told."""

    def __init__(
        self, start: RunnerFactory, execution: ExecutionSpec, address: str | None = None
    ) -> None:
        self._start, self._execution, self._address = start, execution, address

    def __enter__(self) -> "RayExecutor":
        if self._address is None:
            # Not None: Ray would join whatever cluster an old file speaks of.
            _connect("local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
            return self
        try:
            _require_listening(self._address)
            _connect(self._address)
        except (ConnectionError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError.of_field(
                "--address", self._address, f"no Ray cluster can be joined there ({reason})"
            ) from None
        return self

    def __exit__(self, *exception: object) -> None:
        ray.shutdown()

    @property
    def slots(self) -> int:
        """How many packs train at once, at least one."""
        if self._execution.max_packs is not None:
            return self._execution.max_packs
        there = ray.cluster_resources()
        needs = self._resources().items()
        fits = [there.get(kind.upper(), 0.0) / need for kind, need in needs if need]
        return max(1, math.floor(min(fits) + 1e-9))

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls it on a worker, with a pack's resources."""
        needs = self._resources()
        task = ray.remote(function).options(num_cpus=needs["cpu"], num_gpus=needs["gpu"])
        try:
            return ray.get(task.remote(*arguments))
        except RayTaskError as error:
            raise error.cause from None

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted."""
        resources = self._resources()
        searcher = _Packs(source, self._start, self.slots)
        with tempfile.TemporaryDirectory(prefix="proxytune-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(_PackTrainable, resources),
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    scheduler=_Judge(searcher),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: f"pack_{trial.trial_id}",
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    verbose=0,
                    stop=_Fault(searcher),
                    failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                ),
            )
            tuner.fit()
        if searcher.fault is not None:
            raise searcher.fault
        # Tune takes Ctrl-C to mean "stop here" and returns as if all were well.
        if searcher.live or not source.exhausted:
            raise KeyboardInterrupt

    def _resources(self) -> dict[str, float]:
        gpus = self._execution.gpus_per_pack
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        return {"cpu": self._execution.cpus_per_pack, "gpu": gpus}


def _connect(address: str, **options: Any) -> None:
    ray.init(address=address, log_to_driver=False, logging_level="critical", **options)


def _require_listening(address: str) -> None:
    """Raises OSError where nothing listens; Ray would look for it for more than a minute."""
    host, colon, port = address.rpartition(":")
    if colon and "//" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


class _Packs(Searcher):
    """Tune asks here for the next pack."""

    def __init__(
        self,
        source: PackSource | None = None,
        start: RunnerFactory | None = None,
        slots: int = 0,
    ) -> None:
        super().__init__()
        self.source, self.start, self.slots = source, start, slots
        self.live: dict[str, PackSpec] = {}
        self.fault: Exception | None = None
        """What ends the run: Tune would blame the pack that was in hand, and try it again."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its searcher for a restore that never comes; the source stays here.
        return (_Packs, ())

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        assert self.source is not None
        if self.fault is not None:
            return Searcher.FINISHED
        # None, too, when all slots are taken: Tune would ask ahead, and samplers would know less.
        if len(self.live) >= self.slots:
            return None
        pack = None
        with self._fault_ends_run():
            pack = self.source.next_pack()
        if pack is None:
            return None if self.live else Searcher.FINISHED
        self.live[trial_id] = pack
        return {"pack": pack.model_dump_json(), "start": self.start}

    def report(self, trial_id: str, result: Mapping[str, Any]) -> frozenset[int]:
        """Hands a result to the source; returns the members to drop."""
        assert self.source is not None
        evaluations = [Evaluation.model_validate(e) for e in result.get(EVALUATIONS, ())]
        drop: frozenset[int] = frozenset()
        if self.fault is None:
            with self._fault_ends_run():
                drop = self.source.report(self.live[trial_id], evaluations)
        return drop

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        if error:
            result = {ERROR: f"its worker was lost {MAX_FAILURES + 1} times"}
        elif result is not None and trial_id in self.live:
            # The last result comes here and nowhere else.
            self.report(trial_id, result)
        if trial_id in self.live and self.fault is None:
            with self._fault_ends_run():
                self._end(self.live.pop(trial_id), result or {})

    def _end(self, pack: PackSpec, result: Mapping[str, Any]) -> None:
        assert self.source is not None
        reason = result.get(ERROR)
        if STOP in result:
            raise RunError(result[STOP])
        if reason is None:
            self.source.finish(pack)
        elif TOO_LARGE in result:
            refuse(self.source, pack, reason)
        else:
            self.source.fail(pack, reason)

    @contextmanager
    def _fault_ends_run(self) -> Iterator[None]:
        try:
            yield
        except Exception as fault:
            self.fault = fault


class _Fault(tune.Stopper):
    """Ends the run at a fault."""

    def __init__(self, packs: _Packs | None = None) -> None:
        self._packs = packs

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Fault, ())

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._packs is not None and self._packs.fault is not None


class _Judge(FIFOScheduler):
    """Reports every result and sends back whom to drop."""

    def __init__(self, packs: _Packs | None = None) -> None:
        super().__init__()
        self._packs = packs

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Judge, ())

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        assert self._packs is not None
        drop = self._packs.report(trial.trial_id, result)
        if drop:
            # Calls of one caller arrive in order, so this one is there before the next step.
            trial.temporary_state.ray_actor.drop.remote(sorted(drop))
        return TrialScheduler.CONTINUE


class _PackTrainable(tune.Trainable):
    """One pack on a worker; a step goes to the next evaluation."""

    def setup(self, config: dict[str, Any]) -> None:
        # Tune may set a pack up on two actors: nothing is allocated before the first step.
        self._runner: PackRunner | None = None
        self._dropped: list[int] = []

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            if self._runner is None:
                pack = PackSpec.model_validate_json(self.config["pack"])
                self._runner = self.config["start"](pack)
            self._runner.drop(self._dropped)
            evaluations = self._runner.advance()
        except PackTooLarge as error:
            # The actor goes on to the next pack, which needs the memory.
            self._runner = None
            return {ERROR: str(error), TOO_LARGE: True, "done": True}
        except RunError as error:
            return {STOP: str(error), "done": True}
        except Exception as error:
            # The pack's own mistake: trying again would only make it again.
            return {ERROR: f"{type(error).__name__}: {error}", "done": True}
        told = [evaluation.model_dump() for evaluation in evaluations]
        return {EVALUATIONS: told, "done": self._runner.done}

    def drop(self, numbers: list[int]) -> None:
        """Notes whom the next step is to take out: it tells what goes wrong in it."""
        self._dropped += numbers

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: packs keep their own."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: packs find their own."""
