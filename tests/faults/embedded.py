"""What a laptop has: the stores in a home, and a Ray cluster that goes with its driver."""

from collections.abc import Mapping
from pathlib import Path

import psutil

from proxytune.home import Home
from tests.clusters import kill_tree, trainers_below
from tests.commands import journal
from tests.faults.plan import Fault
from tests.faults.rows import Store, asked_trials, finished_trials, read_all
from tests.faults.stage import Driver, Stage


class Embedded(Stage):
    """Nothing but processes of the driver's own, and files."""

    kinds = ("driver", "driver", "worker")
    start_seconds = 20.0

    def __init__(self, folder: Path) -> None:
        """`folder` is for Ray's own files."""
        self._folder = folder

    @property
    def environment(self) -> Mapping[str, str]:
        return {"RAY_TMPDIR": str(self._folder / "ray")}

    def progress(self, home: Path, study: str) -> tuple[bool, int]:
        place = Home(home)
        return finished_trials(journal(place), study) if place.journal.exists() else (False, 0)

    def asked(self, home: Path, study: str) -> int:
        return asked_trials(journal(Home(home)), study)

    def read(self, home: Path, study: str) -> dict[str, Store]:
        place = Home(home)
        return read_all(journal(place), place.mlflow_uri, place.parquet, study)

    def _kill_worker(self, fault: Fault, driver: Driver) -> bool:
        if driver.poll() is not None:
            return False
        trainers = trainers_below(psutil.Process(driver.pid))
        for trainer in trainers[:1]:
            kill_tree(trainer.pid)
        return bool(trainers)
