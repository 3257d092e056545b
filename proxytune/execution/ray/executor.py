"""Packs on a Ray cluster: one Ray Tune trial per pack and attempt.

Tune starts afresh each time and is never restored. All state is in the study in Optuna's storage
and in one checkpoint file per pack, so a dead worker, node or driver are the same case.
"""

import math
import tempfile
import warnings
from collections.abc import Callable

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError

from proxytune.config.execution import ExecutionSpec
from proxytune.errors import InputError, Interrupted
from proxytune.execution.ray.start import join, start_here
from proxytune.execution.ray.stop import orderly
from proxytune.execution.ray.tokens import TokenTransfer
from proxytune.execution.ray.tune import (
    ClusterWatch,
    Packs,
    PackScheduler,
    PackTrainable,
    placement,
)
from proxytune.packs.pack import PackSpec
from proxytune.packs.ports import PackSource, Result, RunnerFactory

FIELDS = {"CPU": "execution.cpus_per_pack", "GPU": "execution.gpus_per_pack"}
"""Ray's resource -> the field that asks for it."""


class RayExecutor:
    """Trains as many packs at once as the cluster has room for, or as `max_packs` says.

    Nodes that join the cluster are used, and packs of nodes that leave it resume on others. It
    sends this version of the package and the tokens to the nodes of a cluster that it joins.
    """

    def __init__(
        self,
        start: RunnerFactory,
        execution: ExecutionSpec,
        address: str | None = None,
        remark: Callable[[str], object] = warnings.warn,
    ) -> None:
        """`remark` is told what a cluster that may grow is waited for."""
        self._start, self._execution, self._address = start, execution, address
        self._remark = remark
        self._token_transfer = None if address is None else TokenTransfer()
        self._room: dict[str, float] | None = None
        """All resources of a cluster of our own, which does not grow; None for one it joins."""

    def __enter__(self) -> "RayExecutor":
        if self._address is None:
            start_here()
            self._room = ray.cluster_resources()
        else:
            join(self._address)
        try:
            self._require_node()
        except InputError:
            ray.shutdown()
            raise
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
        fits = [there.get(kind, 0.0) / need for kind, need in needs if need]
        return max(1, math.floor(min(fits) + 1e-9))

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls the function on a worker, with the resources of a pack."""
        needs = self._resources()
        task = ray.remote(function).options(num_cpus=needs["CPU"], num_gpus=needs["GPU"])
        try:
            return ray.get(task.remote(*arguments))
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            raise Interrupted(f"a worker was lost ({type(error).__name__})") from None

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted."""
        most = self._execution.max_failures
        packs = Packs(
            source, self._start, lambda: self.slots, self._needs, most, self._token_transfer
        )
        with tempfile.TemporaryDirectory(prefix="proxytune-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(PackTrainable, placement),
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
            with orderly(packs.stop):
                tuner.fit()
        if packs.fault is not None:
            raise packs.fault
        if packs.interrupted is not None:
            raise packs.interrupted
        # Tune returns as if nothing had happened.
        if packs.stopped or packs.unfinished or not source.exhausted:
            raise KeyboardInterrupt

    def _resources(self, gpus: float | None = None) -> dict[str, float]:
        """What each worker of a pack needs, where its job says how many GPUs, or not."""
        gpus = self._execution.gpus_per_pack if gpus is None else gpus
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        return {"CPU": self._execution.cpus_per_pack, "GPU": gpus}

    def _require_node(self) -> None:
        """Looks for a node that has what a pack needs.

        Raises InputError if this machine has not; of a cluster, which may grow, it is a remark.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needs = self._resources()
        if any(all(node.get(kind, 0.0) >= need for kind, need in needs.items()) for node in nodes):
            return
        most = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in needs}
        kind = next((kind for kind, need in needs.items() if need > most[kind]), "CPU")
        has = " and ".join(f"{count:g} {of}s" for of, count in most.items())
        if self._address is None:
            raise InputError.of_field(
                FIELDS[kind],
                needs[kind],
                f"this machine's Ray has {has}; ask for fewer, or join a cluster that has them: "
                "--address",
            )
        self._remark(
            f"{FIELDS[kind]} = {needs[kind]:g}: no node of the cluster has so many (the most are "
            f"{has}); waiting for one that has"
        )

    def _needs(self, pack: PackSpec) -> dict[str, float]:
        """What each process of a pack needs.

        Raises InputError if there will never be room for them.
        """
        each, room = self._resources(pack.job.gpus), self._room
        for kind, need in each.items():
            wanted = pack.job.workers * need
            if room is not None and wanted > room.get(kind, 0.0):
                raise InputError(
                    f"{pack.name}: needs {wanted:g} {kind}s, and Ray on this machine has "
                    f"{room.get(kind, 0.0):g}; ask for fewer workers, or join a cluster that has "
                    "them: --address"
                )
        share = pack.job.workers // pack.job.processes
        return {kind: share * need for kind, need in each.items()}
