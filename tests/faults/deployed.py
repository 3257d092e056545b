"""What a team deploys: nodes, PostgreSQL and MLflow's server, started once."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg
from optuna.storages import RDBStorage

from proxytune.home import Home
from tests.clusters import Cluster, kill_tree
from tests.faults.plan import Fault
from tests.faults.rows import Store, asked_trials, read_all
from tests.faults.stage import Driver, Stage
from tests.servers import Databases, Postgres, free_port, running_mlflow, running_postgres

ATTEMPTS = 5
"""To start MLflow's server, which ends at once while its database is away."""


PROGRESS = """
    SELECT (SELECT count(*) FROM study_user_attributes a
            WHERE a.study_id = s.study_id AND a.key = 'proxytune.spec'),
           (SELECT count(*) FROM trials t
            WHERE t.study_id = s.study_id AND t.state NOT IN ('RUNNING', 'WAITING'))
    FROM studies s WHERE s.study_name = %s
"""


class Deployed(Stage):
    """Nodes and servers. What is killed is replaced, or started again, while all else goes on."""

    kinds = ("driver", "worker", "node", "mlflow", "postgres")
    start_seconds = 9.0
    _cluster: Cluster
    _databases: Databases
    _tracking_uri: str

    def __init__(self, folder: Path) -> None:
        """`folder` is for the files of Ray and MLflow."""
        self._folder = folder

    def __enter__(self) -> Self:
        self._mlflow = ExitStack()
        self._pending: dict[str, Future[None]] = {}
        self._nodes_due: list[float] = []
        with ExitStack() as opened:
            self._postgres: Postgres = opened.enter_context(running_postgres())
            self._databases = self._postgres.create()
            self._port = free_port()
            opened.callback(self._mlflow.close)
            self._start_mlflow()
            self._cluster = opened.enter_context(Cluster(self._folder / "ray"))
            self._repairs = opened.enter_context(ThreadPoolExecutor(max_workers=3))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    @property
    def address(self) -> tuple[str, ...]:
        return "--address", self._cluster.address

    @property
    def where(self) -> tuple[str, ...]:
        return "--storage", self._databases.optuna, "--tracking-uri", self._tracking_uri

    def progress(self, home: Path, study: str) -> tuple[bool, int]:
        try:
            with psycopg.connect(self._databases.optuna, connect_timeout=1) as database:
                seen = database.execute(PROGRESS, [study]).fetchone()
        except psycopg.Error as error:
            raise LookupError("away, or without tables so far") from error
        defined, finished = seen or (0, 0)
        return bool(defined), finished

    def asked(self, home: Path, study: str) -> int:
        return asked_trials(RDBStorage(self._databases.optuna), study)

    def read(self, home: Path, study: str) -> dict[str, Store]:
        storage = RDBStorage(self._databases.optuna)
        return read_all(storage, self._tracking_uri, Home(home).parquet, study)

    def strike(self, fault: Fault, driver: Driver) -> bool:
        if fault.kind in self._pending and not self._pending[fault.kind].done():
            return False
        return super().strike(fault, driver)

    def tend(self) -> None:
        """Replaces nodes that were lost long enough ago."""
        if self._nodes_due and self._nodes_due[0] <= time.monotonic():
            self._nodes_due.pop(0)
            self._cluster.add()

    def repair(self) -> None:
        while self._nodes_due:
            self.tend()
            time.sleep(0.1)
        self._cluster.wait()
        for repair in self._pending.values():
            repair.result()

    def _kill_worker(self, fault: Fault, driver: Driver) -> bool:
        trainers = self._cluster.trainers()
        for trainer in trainers[:1]:
            kill_tree(trainer.pid)
        return bool(trainers)

    def _kill_node(self, fault: Fault, driver: Driver) -> bool:
        node = self._cluster.busiest()
        if node is not None:
            self._cluster.lose(node)
            # Here, not in the background: Ray starts nodes in a program's main thread only.
            self._nodes_due.append(time.monotonic() + fault.outage)
        return node is not None

    def _kill_mlflow(self, fault: Fault, driver: Driver) -> bool:
        self._mlflow.close()
        self._repair(fault, self._start_mlflow)
        return True

    def _kill_postgres(self, fault: Fault, driver: Driver) -> bool:
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
            server = running_mlflow(self._databases, folder, self._port, signal.SIGKILL)
            try:
                self._tracking_uri = self._mlflow.enter_context(server)
                return
            except AssertionError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(1)
