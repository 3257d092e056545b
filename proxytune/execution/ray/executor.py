"""Packs on a Ray cluster: one Ray Tune trial per pack and attempt.

Tune starts afresh each time and is never restored. All state is in the study in Optuna's storage
and in one checkpoint file per pack, so a dead worker, node or driver are the same case.
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
from proxytune.execution.ray.tokens import TokenTransfer
from proxytune.execution.ray.tune import ClusterWatch, Packs, PackScheduler, PackTrainable
from proxytune.packs.ports import PackSource, Result, RunnerFactory

OBJECT_STORE_BYTES = 80 * 2**20
"""For a local cluster, where only evaluations are exchanged."""


class RayExecutor:
    """Trains as many packs at once as the cluster has room for, or as `max_packs` says.

    Nodes that join the cluster are used, and packs of nodes that leave it resume on others. It
    sends this version of the package and the tokens to the nodes of a cluster that it joins.
    """

    def __init__(
        self, start: RunnerFactory, execution: ExecutionSpec, address: str | None = None
    ) -> None:
        self._start, self._execution, self._address = start, execution, address
        self._token_transfer = None if address is None else TokenTransfer()

    def __enter__(self) -> "RayExecutor":
        if self._address is None:
            # Not None, with which Ray would join any cluster that an old file names.
            _connect("local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
            return self
        try:
            _require_listening(self._address)
            _connect(self._address, runtime_env={"py_modules": [proxytune]})
        except (ConnectionError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError.of_field(
                "--address", self._address, f"cannot join a Ray cluster there ({reason})"
            ) from None
        return self

    def __exit__(self, *exception: object) -> None:
        ray.shutdown()

    @property
    def slots(self) -> int:
        """Number of packs that train at once, at least one, on the current nodes."""
        if self._execution.max_packs is not None:
            return self._execution.max_packs
        there = ray.cluster_resources()
        needs = self._resources().items()
        fits = [there.get(kind.upper(), 0.0) / need for kind, need in needs if need]
        return max(1, math.floor(min(fits) + 1e-9))

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls the function on a worker, with the resources of a pack."""
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
        packs = Packs(source, self._start, lambda: self.slots, most, self._token_transfer)
        with tempfile.TemporaryDirectory(prefix="proxytune-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(PackTrainable, resources),
                tune_config=tune.TuneConfig(
                    search_alg=packs,
                    scheduler=PackScheduler(packs),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: f"pack_{trial.trial_id}",
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch, verbose=0, stop=ClusterWatch(packs)
                ),
            )
            tuner.fit()
        if packs.fault is not None:
            raise packs.fault
        # After Ctrl-C, Tune stops and returns as if nothing had happened.
        if packs.unfinished or not source.exhausted:
            raise KeyboardInterrupt

    def _resources(self) -> dict[str, float]:
        gpus = self._execution.gpus_per_pack
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        return {"cpu": self._execution.cpus_per_pack, "gpu": gpus}


def _connect(address: str, **options: Any) -> None:
    # No public setting keeps raylets' messages about lost nodes off stdout.
    ray._private.worker._worker_logs_enabled = False
    ray.init(address=address, log_to_driver=False, logging_level="critical", **options)


def _require_listening(address: str) -> None:
    """Raises OSError if nothing listens there; Ray would retry for more than a minute."""
    host, colon, port = address.rpartition(":")
    if colon and "//" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()
