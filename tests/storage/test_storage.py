"""Optuna's storage: bad addresses are refused in words, and killed writers harm nobody."""

import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import optuna
import pytest

from proxytune.errors import InputError
from proxytune.search.study import Study
from proxytune.storage.open import open_storage
from tests.studies import source_of, study_spec, train_all


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "nosuchdatabase://someone:s3cret@host/name",
        "postgresql://someone:s3cret@127.0.0.1:1/name",
        "sqlite:////no/such/folder/optuna.db",
        "postgresql://someone:s3cret@host:port/name",
        "postgresql://someone:s3cret[@host/name",
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(InputError, match=r"^storage = .*cannot be used") as refused:
        open_storage(tmp_path / "journal", url)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "module", "what"),
    [
        (
            "postgresql://someone:s3cret@host/name",
            "psycopg",
            r"pip install 'proxytune\[postgres\]'",
        ),
        ("mysql://someone:s3cret@host/name", "MySQLdb", r"its driver MySQLdb is not installed"),
    ],
)
def test_a_missing_driver_is_named_with_what_installs_it(
    url: str, module: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as Python sees a module that is not there
    with pytest.raises(InputError, match=rf"^storage = .*cannot be used: .*{what}") as refused:
        open_storage(tmp_path / "journal", url)
    assert "s3cret" not in str(refused.value)


WRITER = """
import os, signal, sys
from pathlib import Path
from proxytune.storage.open import open_storage
from tests.studies import next_pack, source_of, study_spec

source = source_of(open_storage(Path(sys.argv[1]), None), study_spec())

def sync(file: int) -> None:
    if sys.argv[2] == "wait":
        print("writing", flush=True)
        sys.stdin.readline()
    else:
        os.ftruncate(file, os.fstat(file).st_size - int(sys.argv[2]))
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = sync  # what Optuna calls last, with the journal's lock held
{"trial": source._study.ask, "pack": source.next_pack}[sys.argv[3]]()
"""


def writer(journal: Path, how: str, what: str = "trial") -> subprocess.Popen[str]:
    """A process that stays in the middle of a write, or is killed in it with bytes missing.

    A trial is entered line by line, a pack in a batch.
    """
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(journal), how, what],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(25)
@pytest.mark.parametrize(
    ("what", "missing"),
    [("trial", 0), ("trial", 1), ("trial", 20), ("pack", 0), ("pack", 1), ("pack", 1000)],
)
def test_a_process_killed_while_it_writes_the_journal_harms_nobody(
    tmp_path: Path, what: str, missing: int
) -> None:
    journal = tmp_path / "journal"
    killed = writer(journal, str(missing), what)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    train_all(source_of(open_storage(journal, None), study_spec()))
    found = Study(open_storage(journal, None), "small").trials()
    assert [trial.state for trial in found] == ["complete"] * 8


def test_who_writes_the_journal_waits_for_the_other(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    other = writer(journal, "wait")
    assert other.stdout is not None
    assert other.stdout.readline() == "writing\n"
    study = optuna.load_study(study_name="small", storage=open_storage(journal, None))
    ours = Thread(target=study.ask)
    ours.start()
    ours.join(timeout=0.5)
    assert ours.is_alive()
    other.communicate("go on\n")
    ours.join()
    assert len(study.trials) == 2
