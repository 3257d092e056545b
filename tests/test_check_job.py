"""A check trains as a job of several workers, and goes on where it was whoever is killed."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxytune.errors import InputError
from proxytune.storage.lock import only_process
from proxytune.workflows.studies import run_study
from proxytune.workflows.transfer import run_transfer
from proxytune.workflows.workspace import Workspace
from tests.commands import COMMAND, ENVIRONMENT, TARGET, TINY, write_yaml

WORKER = "RayTrainWorker"
"""In the title of a process that trains as one of several."""

Heard = Callable[[str, "subprocess.Popen[str]"], object]


@pytest.fixture(scope="module")
def study(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a study, and the target of its check."""
    folder = tmp_path_factory.mktemp("check-job")
    training = TINY["training"] | {"evaluations": 5}
    document = TINY | {"data": {"text": str(text_file)}, "training": training}
    run_study(write_yaml(folder / "tiny.yaml", document), Workspace(folder / "home"))
    return folder


@pytest.fixture
def folder(study: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    return tmp_path


def target(folder: Path, **check: object) -> Path:
    """A target whose check is of 20 steps, with an evaluation after every fourth."""
    return write_yaml(folder / "wide.yaml", TARGET | {"check": {"steps": 20} | check})


def transfer(folder: Path, hear: Heard = lambda line, driver: None) -> dict[str, Any] | None:
    """The losses and numbers of a check by a driver of its own; None if it was killed."""
    command = [*COMMAND, "transfer", "--target", "wide.yaml", "--home", "home", "--json"]
    driver = subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert driver.stderr is not None
    told = []
    for line in driver.stderr:
        told.append(line)
        hear(line, driver)
    out, _ = driver.communicate()
    if driver.returncode == -signal.SIGKILL:
        return None
    assert out, "".join(told)
    check = json.loads(out)["check"]
    return {name: check[name] for name in ("losses", "updates", "clipped", "criteria")}


def alone(folder: Path) -> dict[str, Any]:
    """The same check by one worker, in this process."""
    target(folder)
    report = run_transfer(folder / "wide.yaml", "tiny", Workspace(folder / "home")).check
    assert report is not None
    document = json.loads(report.model_dump_json())
    return {name: document[name] for name in ("losses", "updates", "clipped", "criteria")}


def assert_same(one: Any, other: Any) -> None:
    """The same, numbers to 1e-5."""
    if isinstance(one, dict):
        assert set(one) == set(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for ours, theirs in zip(one, other, strict=True):
            assert_same(ours, theirs)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)
    elif not isinstance(one, str):
        assert one == other


def killed_at(words: str, count: int = 1) -> Heard:
    """Kills a driver when it has said this so many times."""
    heard: list[str] = []

    def hear(line: str, driver: "subprocess.Popen[str]") -> None:
        heard.extend([line] if line.startswith(words) else [])
        if len(heard) == count:
            driver.send_signal(signal.SIGKILL)

    return hear


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_workers_train_the_check_as_one_does_also_if_driver_and_worker_are_killed(
    folder: Path,
) -> None:
    whole = alone(folder)
    target(folder, workers=2, activation_checkpointing=True)
    packs = folder / "home" / "packs" / "tiny"
    assert transfer(folder, killed_at("check: target at step 4:")) is None
    proxy = packs / "check-wide-proxy.pt"
    trained, seen, lost = proxy.stat().st_mtime_ns, [], []

    def kill_worker(line: str, driver: "subprocess.Popen[str]") -> None:
        if line.startswith("check: target") and not lost:
            seen.append(proxy.stat().st_mtime_ns)
            workers = workers_below(driver)
            assert len(workers) == 2
            workers[-1].kill()
            lost.append(workers[-1])

    found = transfer(folder, kill_worker)
    assert lost
    # What was finished is not trained again.
    assert seen == [trained]
    assert_same(found, whole)
    assert not list(packs.iterdir())


def workers_below(driver: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Those that train together for a driver."""
    found = []
    for process in psutil.Process(driver.pid).children(recursive=True):
        with suppress(psutil.Error):
            if WORKER in " ".join(process.cmdline()):
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_transfer_that_is_killed_anywhere_goes_on_where_it_was(folder: Path) -> None:
    whole, told = alone(folder), list[str]()
    for words in ("check: proxy at step 8:", "check: target at step 4:", "check: target at step"):
        count = 5 if words.endswith("step") else 1
        assert transfer(folder, killed_at(words, count)) is None
    checkpoints = folder / "home" / "packs" / "tiny"
    times = {file.name: file.stat().st_mtime_ns for file in checkpoints.iterdir()}
    assert len(times) == 2

    def hear(line: str, driver: "subprocess.Popen[str]") -> None:
        told.append(line)
        assert times == {file.name: file.stat().st_mtime_ns for file in checkpoints.iterdir()}

    assert_same(transfer(folder, hear), whole)
    assert told
    assert not list(checkpoints.iterdir())


def test_a_time_limit_ends_a_check_and_the_same_command_resumes_it(folder: Path) -> None:
    whole = alone(folder)
    target(folder, hours=1e-9)
    with pytest.raises(Exception, match=r"time limit.*the same command resumes"):
        run_transfer(folder / "wide.yaml", "tiny", Workspace(folder / "home"))
    assert_same(alone(folder), whole)


def test_two_do_not_train_the_same_check_at_once(folder: Path) -> None:
    lock = folder / "home" / "locks" / "check-tiny-wide.lock"
    with only_process(lock, "this"), pytest.raises(InputError, match=r"'wide'.* by process"):
        run_transfer(target(folder), "tiny", Workspace(folder / "home"))
