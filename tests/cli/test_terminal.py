"""A terminal shows what a command does and never stands still; stdout has the result alone."""

import json
import os
import pty
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.commands import COMMAND, ENVIRONMENT, TINY, write_yaml

LONGEST_SECONDS = 3.0
"""Without a change on the screen, after start-up."""


class Recording(NamedTuple):
    """What a command wrote to its terminal, and when."""

    changes: list[tuple[float, str]]
    """Each with its time in seconds."""
    document: Any
    """What it wrote to standard output, which is no terminal."""

    @property
    def screen(self) -> str:
        """All of it."""
        return "".join(text for _, text in self.changes)

    def longest(self, phase: str) -> float:
        """Seconds between two changes, at most, from this phase on."""
        times = [when for when, _ in self.changes]
        first = next(i for i, (_, text) in enumerate(self.changes) if phase in text)
        return max(after - before for before, after in pairwise(times[first:]))


def record(*arguments: str | Path) -> Recording:
    """A command whose standard error is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=ENVIRONMENT | {"TERM": "xterm-256color"},
        text=True,
    )
    os.close(theirs)
    changes = []
    while True:
        try:
            text = os.read(ours, 65536).decode(errors="replace")
        except OSError:
            # Its other side is closed.
            os.close(ours)
            break
        changes.append((time.monotonic(), text))
    document, _ = process.communicate()
    assert document, changes
    return Recording(changes, json.loads(document))


def assert_in_order(screen: str, *phases: str) -> None:
    """Each of them is on the screen, first seen after the one before."""
    places = [screen.find(phase) for phase in phases]
    assert -1 not in places, dict(zip(phases, places, strict=True))
    assert places == sorted(places)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_study_shows_every_phase_and_never_stands_still(text_file: Path, tmp_path: Path) -> None:
    search = {name: value for name, value in TINY["search"].items() if name != "pack_size"}
    ray = {"executor": "ray"}
    study = TINY | {"data": {"text": str(text_file)}, "search": search, "execution": ray}
    file = write_yaml(tmp_path / "tiny.yaml", study)
    shown = record("study", "create", file, "--json", "--home", tmp_path / "home")
    assert shown.document["state"] == "complete"
    assert_in_order(
        shown.screen,
        "loading libraries",
        "starting Ray",
        "measuring speed and memory",
        "search",
        "fresh seeds",
        "recording trials",
    )
    up_a_line = "\x1b[1A"
    assert up_a_line in shown.screen
    assert "4 of 4 trials, best" in shown.screen
    assert "[4/4]" not in shown.screen
    assert shown.longest("measuring speed and memory") < LONGEST_SECONDS


@pytest.mark.slow
def test_a_transfer_shows_how_far_its_check_is(own_home: Path, target_file: Path) -> None:
    shown = record("transfer", "--target", target_file, "--json", "--home", own_home)
    assert shown.document["check"]["verdict"]
    assert_in_order(shown.screen, "loading libraries", "check", "writing the report")
    assert "s left" in shown.screen
    assert shown.longest("check") < LONGEST_SECONDS
