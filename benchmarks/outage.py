"""Does training notice that MLflow is away? The quickstart, its server dead for the middle third.

The command is a process of its own, as a user starts it, with Optuna in PostgreSQL. Thirds are of
the evaluations. A trial's pace is its training time a token. Members of a pack share one pace, so
the neighbours of a trial are those of other packs that finished last before it and first after it:
"slowest over neighbours" is the largest ratio of a pace to the mean of theirs.

    PYTHONPATH=. python benchmarks/outage.py --json
"""

import json
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import optuna
from machine import machine
from mlflow import MlflowClient

from proxytune.config.load import load_study
from proxytune.packs.trial import TrialRecord
from proxytune.search.study import Study, study_names
from proxytune.storage.open import open_storage
from tests.commands import COMMAND, ENVIRONMENT
from tests.servers import Databases, free_port, running_postgres, serving

STUDY = Path("studies/quickstart.yaml")
CHECKOUT = Path(__file__).parents[1]
SPEC = load_study(CHECKOUT / STUDY)
POLL_SECONDS = 0.5


class Outage:
    """Runs the command, and kills its MLflow server for the middle third."""

    def __init__(self, folder: Path, databases: Databases, servers: ExitStack) -> None:
        store = folder / "mlflow.db"
        store.touch()
        self._where = f"sqlite:///{store}", folder, free_port(), signal.SIGKILL
        self._folder, self._url, self._servers = folder, databases.optuna, servers
        self._storage = open_storage(folder / "none", self._url)
        self.address = servers.enter_context(serving(*self._where))
        self.down: list[datetime] = []
        """When it was killed, and when it was there again."""

    def run(self) -> subprocess.CompletedProcess[str]:
        """The command, once it has ended."""
        stores = ["--storage", self._url, "--tracking-uri", self.address]
        command = [*COMMAND, "study", "create", str(STUDY), *stores]
        log = self._folder / "log"
        with log.open("w") as output:
            running = subprocess.Popen(
                [*command, "--home", self._folder / "home"],
                cwd=CHECKOUT,
                env=ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            while running.poll() is None:
                self._kill_or_start(self._part_done())
                time.sleep(POLL_SECONDS)
        return subprocess.CompletedProcess(command, running.returncode, log.read_text())

    def trials(self) -> list[TrialRecord]:
        """As the storage has them."""
        return Study(self._storage, SPEC.name).trials()

    def runs(self) -> list[Any]:
        """The runs of the study's trials in MLflow, and its own."""
        client = MlflowClient(tracking_uri=self.address)
        experiment = client.get_experiment_by_name(SPEC.name)
        query = "tags.`proxytune.kind` != 'confirmation'"
        return list(client.search_runs([experiment.experiment_id], query)) if experiment else []

    def _part_done(self) -> float:
        if SPEC.name not in study_names(self._storage):
            return 0.0
        trials = optuna.load_study(study_name=SPEC.name, storage=self._storage).trials
        whole = SPEC.training.evaluations
        told = sum(whole if t.state.is_finished() else len(t.intermediate_values) for t in trials)
        return told / (SPEC.search.trials * SPEC.training.evaluations)

    def _kill_or_start(self, part: float) -> None:
        if not self.down and part >= 1 / 3:
            self._servers.close()
            self.down.append(datetime.now(UTC))
        elif len(self.down) == 1 and part >= 2 / 3:
            self._servers.enter_context(serving(*self._where))
            self.down.append(datetime.now(UTC))


def over_neighbours(trials: Sequence[TrialRecord]) -> Iterator[float]:
    """Each trial's pace over that of its neighbours."""
    order = sorted(trials, key=_finished)
    for place, trial in enumerate(order):
        near = [
            next((_pace(other) for other in side if other.pack != trial.pack), None)
            for side in (order[:place][::-1], order[place + 1 :])
        ]
        paces = [pace for pace in near if pace is not None]
        if paces:
            yield _pace(trial) / statistics.fmean(paces)


def measure(outage: Outage) -> dict[str, Any]:
    """Runs the command; what came of it."""
    ended = outage.run()
    trials, runs = outage.trials(), outage.runs()
    killed, back = outage.down
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for trial in trials:
        seconds[killed <= _finished(trial) < back].append(trial.seconds)
    return {
        "exit_code": ended.returncode,
        "trials": len(trials),
        "runs_in_mlflow": sum(run.data.tags["proxytune.kind"] == "trial" for run in runs),
        "runs_open": sum(run.info.status != "FINISHED" for run in runs),
        "down_seconds": (back - killed).total_seconds(),
        "slowest_over_neighbours": max(over_neighbours(trials)),
        "finished_down": len(seconds[True]),
        "seconds_down": statistics.fmean(seconds[True]) if seconds[True] else None,
        "seconds_up": statistics.fmean(seconds[False]) if seconds[False] else None,
        "warnings": [s for s in ended.stdout.splitlines() if s.startswith(("Warning", "Error"))],
    }


def _finished(trial: TrialRecord) -> datetime:
    assert trial.finished is not None
    return trial.finished


def _pace(trial: TrialRecord) -> float:
    return trial.seconds / trial.tokens


@click.command()
@click.option("--json", "as_json", is_flag=True)
def main(as_json: bool) -> None:
    """Runs the quickstart through an outage of MLflow."""
    found: dict[str, Any] = {"machine": machine()}
    with (
        running_postgres() as postgres,
        tempfile.TemporaryDirectory() as name,
        ExitStack() as servers,
    ):
        found |= measure(Outage(Path(name), postgres.create(), servers))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        print(f"{key:24} {value}")


if __name__ == "__main__":
    main()
