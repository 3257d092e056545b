"""A terminal shows a live table; what is no terminal gets plain text."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, ENVIRONMENT


@pytest.mark.slow
def test_a_terminal_shows_a_live_table(study_file: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "study", "create", study_file, "--json", "--home", tmp_path / "home"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=ENVIRONMENT | {"TERM": "xterm-256color"},
        text=True,
    )
    os.close(theirs)
    screen = read_to_end(ours)
    document, _ = process.communicate()
    assert process.returncode == 0
    # Only the terminal gets the table: stdout, which is none, gets the document alone.
    assert json.loads(document)["state"] == "complete"
    up_a_line = "\x1b[1A"
    assert up_a_line in screen
    assert "4/4" in screen
    assert "best" in screen
    assert "[4/4]" not in screen


def read_to_end(terminal: int) -> str:
    """What is written to a pseudo-terminal until its other side is closed."""
    read = b""
    while True:
        try:
            read += os.read(terminal, 65536)
        except OSError:
            os.close(terminal)
            return read.decode()
