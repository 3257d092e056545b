"""Laws of a batch: one write, whole or nothing of it, and nobody reads less than was told."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from proxytune.errors import RunError
from proxytune.storage.journal import Journal
from tests.disks import limited_to

KEYS = [f"key-{i}" for i in range(50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal(path)


@pytest.fixture
def study(journal: Journal) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=journal)


def told(path: Path) -> list[str]:
    """The keys that Optuna's own reader finds."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    return list(optuna.load_study(study_name="s", storage=storage).user_attrs)


def tell(study: optuna.Study, keys: list[str]) -> None:
    for key in keys:
        study.set_user_attr(key, 1)


@contextmanager
def counted_syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The files that are made to reach the disk."""
    synced: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced.append)
        yield synced


def test_a_batch_reaches_the_disk_by_one_write(
    path: Path, journal: Journal, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_syncs(monkeypatch) as synced:
        with journal.batch():
            tell(study, KEYS)
            assert told(path) == []
        assert len(synced) == 1
        with journal.batch():
            pass
        assert len(synced) == 1
    assert told(path) == KEYS


def test_what_is_told_before_within_and_after_a_batch_keeps_its_order(
    path: Path, journal: Journal, study: optuna.Study
) -> None:
    other = optuna.load_study(study_name="s", storage=Journal(path))
    tell(study, KEYS[:2])
    tell(other, KEYS[2:3])
    with journal.batch():
        tell(study, KEYS[3:6])
        assert list(study.user_attrs) == KEYS[:6]
    tell(other, KEYS[6:7])
    tell(study, KEYS[7:8])
    assert told(path) == list(study.user_attrs) == list(other.user_attrs) == KEYS[:8]


def test_a_failure_inside_a_batch_loses_nothing_that_was_told(
    path: Path, journal: Journal, study: optuna.Study
) -> None:
    def fail() -> None:
        with journal.batch():
            tell(study, KEYS[:3])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert told(path) == KEYS[:3]
    tell(study, KEYS[3:4])
    assert told(path) == KEYS[:4]


def test_threads_read_during_a_batch_all_that_was_told(
    journal: Journal, study: optuna.Study
) -> None:
    counts: list[int] = []
    ended = False

    def read() -> None:
        while not ended:
            counts.append(len(study.get_trials(deepcopy=False)))

    reader = Thread(target=read)
    reader.start()
    for batch in range(20):
        with journal.batch():
            for _ in range(10):
                study.ask()
            assert len(study.get_trials(deepcopy=False)) == 10 * batch + 10
    ended = True
    reader.join()
    assert counts == sorted(counts)
    assert len(study.trials) == 200


def test_a_disk_that_is_full_keeps_what_was_there_and_nothing_of_the_batch(
    path: Path, journal: Journal, study: optuna.Study
) -> None:
    tell(study, KEYS[:1])
    before = path.read_bytes()
    with (
        pytest.raises(RunError, match="journal: cannot be written"),
        limited_to(len(before) + 500),
        journal.batch(),
    ):
        tell(study, KEYS[1:])
    assert path.read_bytes() == before
    tell(optuna.load_study(study_name="s", storage=Journal(path)), KEYS[1:2])
    assert told(path) == KEYS[:2]


WRITER = """
import os, signal, sys
from pathlib import Path
import optuna
from proxytune.storage.journal import Journal

journal = Journal(Path(sys.argv[1]))
study = optuna.load_study(study_name="s", storage=journal)

def die(file: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "written":
    os.fsync = die
with journal.batch():
    for i in range(50):
        study.set_user_attr(f"key-{i}", 1)
    if sys.argv[2] == "told":
        die(0)
"""


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(("killed", "there"), [("told", []), ("written", KEYS)])
def test_of_a_batch_in_which_its_process_is_killed_all_is_there_or_nothing(
    path: Path, killed: str, there: list[str]
) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), killed], check=False)
    assert done.returncode == -signal.SIGKILL
    assert told(path) == there
    tell(optuna.load_study(study_name="s", storage=Journal(path)), ["next"])
    assert told(path) == [*there, "next"]
