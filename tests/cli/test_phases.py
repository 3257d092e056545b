"""Where there is no terminal, a phase is a line when it begins, and one now and then."""

from collections.abc import Sequence

import click
import pytest
from click.testing import CliRunner, Result

from proxytune.cli import phases
from proxytune.cli.phases import PhaseDisplay
from proxytune.packs.phase import Phase

SEARCH = [
    Phase("search", done, 4.0, left=left) for done, left in ((0, None), (1, 7290.0), (2, 5.0))
]


def shown(told: Sequence[Phase]) -> Result:
    """What a command prints that goes through these phases."""

    @click.command()
    def command() -> None:
        with PhaseDisplay() as show:
            for phase in told:
                show(phase)

    return CliRunner().invoke(command, catch_exceptions=False)


def test_a_phase_is_told_when_it_begins() -> None:
    result = shown([Phase("starting Ray"), *SEARCH, Phase("recording trials")])
    assert result.stderr.splitlines() == ["starting Ray", "search", "recording trials"]
    assert result.stdout == ""


def test_a_phase_that_takes_long_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "LINE_SECONDS", 0.0)
    lines = shown(SEARCH).stderr.splitlines()
    assert lines == ["search", "search: 25%, 2h01m left", "search: 50%, 5s left"]


def test_a_note_has_a_line_of_its_own() -> None:
    result = shown([Phase("reading the corpus", 1.0, 1.0, note="corpus: 10 of 90 tokens")])
    assert result.stderr.splitlines()[-1] == "corpus: 10 of 90 tokens"
