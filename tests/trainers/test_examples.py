"""The examples train, one of them exactly as proxytune does itself, and carry a check."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from proxytune.workflows.studies import run_study
from proxytune.workflows.transfer import run_transfer
from proxytune.workflows.workspace import Workspace
from tests.clusters import Cluster
from tests.commands import TARGET, write_yaml
from tests.faults.processes import left_running, processes_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

EXAMPLES = Path(__file__).parents[2] / "examples"
AFTER_A_SECOND_ONE = """
touch "$PROXYTUNE_RUN/begun"
until [ "$(ls "$PROXYTUNE_RUN"/../*/begun | wc -l)" -ge 2 ]; do sleep 0.1; done
exec "$@"
"""
"""A run that waits until another one has begun too."""


def shortened(folder: Path, name: str, **changes: Any) -> Path:
    """An example's study, with a copy of its code, for a few short trials in this process."""
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    study = yaml.safe_load((EXAMPLES / name / "study.yaml").read_text())
    study["search"] |= {"trials": 2}
    study["training"] |= {"steps": 20, "evaluations": 2, "batch_size": 4}
    study["selection"] = {"top": 1, "seeds": 1}
    study["execution"] = {"executor": "local"}
    return write_yaml(folder / name / "study.yaml", study | changes)


@pytest.mark.parametrize(
    "example",
    [
        "plain",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("torchrun", "huggingface")),
    ],
)
def test_an_example_trains_as_the_built_in_trainer_does(tmp_path: Path, example: str) -> None:
    workspace, file = Workspace(tmp_path / "home"), shortened(tmp_path, example)
    theirs = run_study(file, workspace)
    study = yaml.safe_load(file.read_text()) | {"name": "built-in", "trainer": None}
    study["search"] |= {"pack_size": 1}
    ours = run_study(write_yaml(tmp_path / "built-in.yaml", study), workspace)
    for one, other in zip(theirs.trials, ours.trials, strict=True):
        assert one.params == other.params
        assert one.value == pytest.approx(other.value, abs=1e-4)
    assert theirs.selection is not None
    assert ours.selection is not None
    assert theirs.selection.best.confirmed == pytest.approx(
        ours.selection.best.confirmed, abs=1e-4
    )


@pytest.mark.long
def test_trials_of_two_gpus_train_two_at_a_time_on_four(tmp_path: Path) -> None:
    file = shortened(tmp_path, "torchrun", execution={"gpus_per_pack": 2})
    study = yaml.safe_load(file.read_text())
    study["search"] |= {"trials": 3}
    study["selection"] = {"seeds": 0}
    command = ["{gpus}" if word == "2" else word for word in study["trainer"]["command"]]
    study["trainer"]["command"] = ["sh", "-c", AFTER_A_SECOND_ONE, "sh", *command]
    write_yaml(file, study)
    seen: list[set[str]] = []
    with Cluster(nodes=2, gpus=2) as cluster, watching(tmp_path, seen):
        report = run_study(file, Workspace(tmp_path / "home", address=cluster.address))
    assert [trial.state for trial in report.trials] == ["complete"] * 3
    assert max(len(runs) for runs in seen) == 2
    assert left_running(tmp_path) == []


@contextmanager
def watching(folder: Path, seen: list[set[str]]) -> Iterator[None]:
    """Keeps which runs there are at the same time."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            at_once = set()
            for process in processes_of(folder):
                with suppress(psutil.Error):
                    # A supervisor waits for its turn, and its command does not.
                    if "distributed.py" in process.cmdline():
                        at_once.add(process.environ()["PROXYTUNE_RUN"])
            seen.append(at_once)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_plain_pytorch_trains_the_check_and_tells_all_that_it_judges(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    run_study(shortened(tmp_path, "plain", selection={"seeds": 0}), workspace)
    target = write_yaml(tmp_path / "wide.yaml", TARGET | {"check": {"steps": 20}})
    report = run_transfer(target, "plain", workspace)
    assert report.check is not None
    assert [c.passed is None for c in report.check.criteria] == [False] * 5
    runs = workspace.paths.runs("plain")
    for side in ("proxy", "target-0", "target-1", "target-2"):
        assert (runs / f"check-wide-{side}" / "metrics.jsonl").exists()
