"""Packs on a Ray cluster: one Ray Tune trial a pack and attempt, and no logic in between.

Tune is started anew each time and never restored: the study in Optuna's storage and one checkpoint
file a pack are the state, so a dead worker, node or driver are all the same case.
"""

import math
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError

import proxytune
from proxytune.config.execution import ExecutionSpec
from proxytune.errors import InputError, Interrupted
from proxytune.execution.ray.tokens import Shipment
from proxytune.execution.ray.tune import Judge, Packs, PackTrainable, Watch
from proxytune.packs.ports import PackSource, Result, RunnerFactory

OBJECT_STORE_BYTES = 80 * 2**20
"""Of a cluster of this machine's own, where evaluations are all that travels."""


class RayExecutor:
    """Trains as many packs at once as the cluster's CPUs and GPUs hold, or as it is told.

    Nodes that join a cluster are used, and packs of those that leave it go on elsewhere. Nodes of
    a cluster that it joins need neither this version of the package nor the tokens: it sends both.
    """

    def __init__(
        self, start: RunnerFactory, execution: ExecutionSpec, address: str | None = None
    ) -> None:
        self._start, self._execution, self._address = start, execution, address
        self._shipment = None if address is None else Shipment()

    def __enter__(self) -> "RayExecutor":
        if self._address is None:
            # Not None: Ray would join whatever cluster an old file speaks of.
            _connect("local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
            return self
        try:
            _require_listening(self._address)
            _connect(self._address, runtime_env={"py_modules": [proxytune]})
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
        """How many packs train at once, at least one; by the nodes that are there just now."""
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
        except RayError as error:
            raise Interrupted(f"a worker was lost ({type(error).__name__})") from None

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted."""
        resources = self._resources()
        most = self._execution.max_failures
        packs = Packs(source, self._start, lambda: self.slots, most, self._shipment)
        with tempfile.TemporaryDirectory(prefix="proxytune-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(PackTrainable, resources),
                tune_config=tune.TuneConfig(
                    search_alg=packs,
                    scheduler=Judge(packs),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: f"pack_{trial.trial_id}",
                ),
                run_config=tune.RunConfig(storage_path=scratch, verbose=0, stop=Watch(packs)),
            )
            tuner.fit()
        if packs.fault is not None:
            raise packs.fault
        # Tune takes Ctrl-C to mean "stop here" and returns as if all were well.
        if packs.unfinished or not source.exhausted:
            raise KeyboardInterrupt

    def _resources(self) -> dict[str, float]:
        gpus = self._execution.gpus_per_pack
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        return {"cpu": self._execution.cpus_per_pack, "gpu": gpus}


def _connect(address: str, **options: Any) -> None:
    # Nothing public keeps what raylets say of lost nodes off standard output.
    ray._private.worker._worker_logs_enabled = False
    ray.init(address=address, log_to_driver=False, logging_level="critical", **options)


def _require_listening(address: str) -> None:
    """Raises OSError where nothing listens; Ray would look for it for more than a minute."""
    host, colon, port = address.rpartition(":")
    if colon and "//" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()
