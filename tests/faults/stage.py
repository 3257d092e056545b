"""What a study runs on and can lose: nodes, PostgreSQL and MLflow's server, started once."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.clusters import Cluster, kill_tree
from tests.faults.plan import Fault
from tests.servers import Databases, Postgres, free_port, running_mlflow, running_postgres

ATTEMPTS = 5
"""To start MLflow's server, which ends at once while its database is away."""


class Stage:
    """Nodes and servers. What is killed is replaced, or started again, while all else goes on."""

    cluster: Cluster
    databases: Databases
    tracking_uri: str

    def __init__(self, folder: Path) -> None:
        """`folder` is for the files of Ray and MLflow."""
        self._folder = folder

    def __enter__(self) -> Self:
        self._mlflow = ExitStack()
        self._pending: dict[str, Future[None]] = {}
        self._nodes_due: list[float] = []
        with ExitStack() as opened:
            self._postgres: Postgres = opened.enter_context(running_postgres())
            self.databases = self._postgres.create()
            self._port = free_port()
            opened.callback(self._mlflow.close)
            self._start_mlflow()
            self.cluster = opened.enter_context(Cluster(self._folder / "ray"))
            self._repairs = opened.enter_context(ThreadPoolExecutor(max_workers=3))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def strike(self, fault: Fault) -> bool:
        """Kills what the fault is about; False if there is nothing of that kind just now."""
        if fault.kind in self._pending and not self._pending[fault.kind].done():
            return False
        return bool(getattr(self, f"_kill_{fault.kind}")(fault))

    def tend(self) -> None:
        """Replaces nodes that were lost long enough ago; to be called now and then."""
        if self._nodes_due and self._nodes_due[0] <= time.monotonic():
            self._nodes_due.pop(0)
            self.cluster.add()

    def repair(self) -> None:
        """Returns when everything that was killed is there again. Raises what kept it away."""
        while self._nodes_due:
            self.tend()
            time.sleep(0.1)
        self.cluster.wait()
        for repair in self._pending.values():
            repair.result()

    def _kill_worker(self, fault: Fault) -> bool:
        trainers = self.cluster.trainers()
        for trainer in trainers[:1]:
            kill_tree(trainer.pid)
        return bool(trainers)

    def _kill_node(self, fault: Fault) -> bool:
        node = self.cluster.busiest()
        if node is not None:
            self.cluster.lose(node)
            # Here, not in the background: Ray starts nodes in a program's main thread only.
            self._nodes_due.append(time.monotonic() + fault.outage)
        return node is not None

    def _kill_mlflow(self, fault: Fault) -> bool:
        self._mlflow.close()
        self._repair(fault, self._start_mlflow)
        return True

    def _kill_postgres(self, fault: Fault) -> bool:
        postmaster = self._postgres.folder / "data" / "postmaster.pid"
        kill_tree(int(postmaster.read_text().split()[0]))
        postmaster.unlink()
        self._repair(fault, self._postgres.start)
        return True

    def _repair(self, fault: Fault, start: Callable[[], None]) -> None:
        def repair() -> None:
            time.sleep(fault.outage)
            start()

        self._pending[fault.kind] = self._repairs.submit(repair)

    def _start_mlflow(self) -> None:
        folder = self._folder / "mlflow"
        folder.mkdir(exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            server = running_mlflow(self.databases, folder, self._port, signal.SIGKILL)
            try:
                self.tracking_uri = self._mlflow.enter_context(server)
                return
            except AssertionError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(1)
