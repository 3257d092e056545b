"""One process for what is kept in a home: a second is refused, a killed one is not missed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.errors import InputError
from proxytune.storage.lock import only_process

HOLDER = """
import sys, time
from pathlib import Path
from proxytune.storage.lock import only_process

with only_process(Path(sys.argv[1]), "evidence 'small'"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "small.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_of_the_first(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    with (
        pytest.raises(
            InputError, match=rf"evidence 'small' is being run by process {holder.pid} on \S"
        ),
        only_process(path, "evidence 'small'"),
    ):
        pytest.fail("two at once")


def test_the_second_is_refused_again_and_the_first_still_named(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    for _ in range(2):
        with (
            pytest.raises(InputError, match=f"process {holder.pid} "),
            only_process(path, "evidence 'small'"),
        ):
            pass


def test_a_killed_process_frees_it(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with only_process(path, "evidence 'small'"):
        pass


def test_the_latest_holder_is_named_alone(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with (
        only_process(path, "evidence 'small'"),
        pytest.raises(InputError, match=f"by process {os.getpid()} on {socket.gethostname()};"),
        only_process(path, "evidence 'small'"),
    ):
        pytest.fail("two at once")


def test_another_name_is_free(path: Path, holder: subprocess.Popen[str]) -> None:
    with only_process(path.with_name("other.lock"), "evidence 'other'"):
        pass


def test_it_is_freed_at_the_end_even_of_a_failure(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_process(path, "evidence 'small'"):
        raise ZeroDivisionError
    with only_process(path, "evidence 'small'"):
        pass
