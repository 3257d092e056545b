"""Signals to stop are acknowledged at once; then comes what was kept, and how to go on."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import COMMAND, ENVIRONMENT, TINY, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
LONG: dict[str, Any] = TINY | {
    "name": "long",
    "training": TINY["training"] | {"steps": 200_000, "evaluations": 20_000},
}


def stopped_by(number: signal.Signals, sign: str, *words: str | Path) -> tuple[int, list[str]]:
    """A command's exit code, and its last words after a signal at a line of its output."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT | {"PYTHONUNBUFFERED": "1"},
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while sign not in (line := process.stdout.readline()):
        assert line, "ended too early"
    process.send_signal(number)
    rest = process.communicate()[0].splitlines()
    return process.returncode, [line for line in rest if line]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_study_that_is_stopped_says_what_was_kept_and_how_to_go_on(
    number: signal.Signals, text_file: Path, tmp_path: Path
) -> None:
    study = LONG | {"data": {"text": str(text_file)}}
    if number is signal.SIGTERM:
        study |= {"execution": {"executor": "ray"}}
    file = write_yaml(tmp_path / "long.yaml", study)
    at = ("--home", tmp_path / "home")
    code, told = stopped_by(number, "study long: 4", "study", "create", file, *at)
    assert code == 1
    # Ray has a handler of its own for SIGTERM while it starts.
    assert told[0] == f"{number.name}: stopping …" or number is signal.SIGTERM
    assert told[-1].startswith("Error: stopped")
    assert not [line for line in told if "Traceback" in line]


def test_a_command_without_words_of_its_own_says_that_it_stopped(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.fifo"
    os.mkfifo(corpus)
    study = write_yaml(tmp_path / "long.yaml", LONG | {"data": {"text": str(corpus)}})
    process = subprocess.Popen(
        [*COMMAND, "study", "create", study, "--home", tmp_path / "home"],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )
    # It opens the corpus to read it once everything is imported.
    with corpus.open("w"):
        process.send_signal(signal.SIGTERM)
        told = process.communicate()[1].split("\n")
    assert (process.returncode, told[1]) == (1, "SIGTERM: stopping …")
    assert told[2].startswith("Error: stopped; nothing is left half-written")


def test_what_nohup_ignores_stays_ignored() -> None:
    script = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "from proxytune.cli.signals import heeded\n"
        "with heeded(): signal.raise_signal(signal.SIGHUP); print('still here')"
    )
    command = [COMMAND[0], "-c", script]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "still here\n"
