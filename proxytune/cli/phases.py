"""What a command does and how far it is, on standard error: moving in a terminal, else lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from proxytune.cli.options import patience, warn
from proxytune.cli.signals import acknowledgement
from proxytune.packs.phase import Phase

if TYPE_CHECKING:
    from proxytune.workflows.workspace import Workspace

LINE_SECONDS = 10.0
"""Between two lines about the same phase, where there is no terminal."""


class PhaseDisplay:
    """Shows the phases that it is called with (an OnPhase); used as a context manager.

    A terminal has a spinner and the time that the phase has taken, so it moves also where nothing
    is known of how far the phase is. It is clean again at the end.
    """

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=False,
        )
        self._phase = Phase("loading libraries")
        self._heard = self._line = time.monotonic()
        self._task = self._bar.add_task(self._phase.name, total=None, left="")
        self._below: RenderableType = ""
        # Last, since it is drawn at once.
        self._live = (
            Live(console=console, get_renderable=self._whole, transient=True)
            if console.is_terminal
            else None
        )

    @property
    def moves(self) -> bool:
        """Whether this is a terminal."""
        return self._live is not None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, phase: Phase) -> None:
        """Takes in what happens now."""
        begins = phase.name != self._phase.name
        self._phase, self._heard = phase, time.monotonic()
        if begins:
            self._bar.reset(self._task)
        if not self.moves and (begins or self._heard - self._line >= LINE_SECONDS):
            self._line = self._heard
            click.echo(_line(phase, self.left), err=True)
        if phase.note:
            click.echo(phase.note, err=True)

    def show_below(self, what: RenderableType) -> None:
        """Keeps something in sight below the phase, in a terminal."""
        self._below = what

    @property
    def left(self) -> str:
        """Time left, in words; empty if that is not known."""
        if self._phase.left is None:
            return ""
        seconds = max(0.0, self._phase.left - (time.monotonic() - self._heard))
        return f"{duration(seconds)} left"

    def _whole(self) -> RenderableType:
        phase = self._phase
        self._bar.update(
            self._task,
            description=acknowledgement() or phase.name,
            completed=phase.done,
            total=phase.total,
            left=self.left,
        )
        return Group(self._bar, self._below)


@contextmanager
def shown_workspace(where: dict[str, Any]) -> Iterator[tuple["Workspace", PhaseDisplay]]:
    """A workspace of these options, whose long phases are shown until the end, and where."""
    with PhaseDisplay() as show:
        from proxytune.workflows.workspace import Workspace

        yield Workspace(**where, remark=warn, on_phase=show, patience=patience()), show


def duration(seconds: float) -> str:
    """In words, as short as 2m05s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _line(phase: Phase, left: str) -> str:
    """A phase in one line."""
    if not phase.total or not phase.done:
        return phase.name
    share = f"{phase.name}: {phase.done / phase.total:.0%}"
    return f"{share}, {left}" if left else share
