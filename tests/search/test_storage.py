"""Optuna's storage: bad addresses are refused in words, and killed writers harm nobody."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from proxytune.errors import InputError
from proxytune.search.storage import open_storage
from proxytune.search.study import Study
from tests.search.studies import source_of, study_spec, train_all


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
    assert refused.value.__suppress_context__


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from proxytune.search.storage import open_storage
from tests.search.studies import source_of, study_spec, next_pack

source = source_of(open_storage(Path(sys.argv[1]), None), study_spec())

def sync(file: int) -> None:
    os.ftruncate(file, os.fstat(file).st_size - int(sys.argv[2]))
    os.kill(os.getpid(), signal.SIGKILL)

os.fsync = sync  # called last, with the journal's lock held
source.next_pack()
"""


@pytest.mark.timeout(25)
@pytest.mark.parametrize("missing", [0, 1, 20], ids="{} bytes missing".format)
def test_a_process_killed_while_it_writes_the_journal_harms_nobody(
    tmp_path: Path, missing: int
) -> None:
    journal = tmp_path / "journal"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(journal), str(missing)],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    train_all(source_of(open_storage(journal, None), study_spec()))
    found = Study(open_storage(journal, None), "small").trials()
    assert [trial.state for trial in found] == ["complete"] * 8


def test_many_processes_write_one_journal(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
import optuna
from proxytune.search.storage import open_storage

study = optuna.load_study(study_name="shared", storage=open_storage(Path(sys.argv[1]), None))
for _ in range(20):
    study.tell(study.ask(), 1.0)
"""
    journal = tmp_path / "journal"
    optuna.create_study(study_name="shared", storage=open_storage(journal, None))
    writers = [subprocess.Popen([sys.executable, "-c", script, str(journal)]) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    study = optuna.load_study(study_name="shared", storage=open_storage(journal, None))
    assert [trial.number for trial in study.trials] == list(range(40))
