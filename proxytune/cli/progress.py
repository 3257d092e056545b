"""How a study is going: a table of its best trials in a terminal, a line per trial elsewhere."""

from typing import TYPE_CHECKING

import click
from rich.console import Group, RenderableType

from proxytune.cli.options import warn
from proxytune.cli.phases import PhaseDisplay
from proxytune.cli.tables import loss, setting, table_of

if TYPE_CHECKING:
    from proxytune.config.study import StudySpec
    from proxytune.packs.trial import TrialRecord
    from proxytune.search.source import Progress

BEST_SHOWN = 5
"""Trials in the table."""


class StudyProgress:
    """Shows what happens in a study (an Observer), together with the phase that it is in."""

    def __init__(
        self, spec: "StudySpec", finished: list["TrialRecord"], display: PhaseDisplay
    ) -> None:
        self._spec, self._finished, self._display = spec, len(finished), display
        self._best = _best(finished)
        self._reasons: set[str] = set()
        """Why trials failed, as far as it was said."""
        if display.moves:
            display.show_below(self._table())
        else:
            click.echo(f"study {spec.name}: {spec.search.trials} trials", err=True)

    def __call__(self, progress: "Progress") -> None:
        """Takes in what just happened."""
        if progress.pack_size is not None:
            click.echo(f"packs of {progress.pack_size} (measured)", err=True)
        if progress.too_large is not None:
            words = (
                f"a pack of {progress.too_large} does not fit into memory: it goes on in halves"
            )
            click.echo(words, err=True)
        self._best = _best([*self._best, *progress.finished])
        for trial in progress.finished:
            self._finished += 1
            if not self._display.moves:
                click.echo(self._line(trial), err=True)
            self._say_why(trial)
        for remark in progress.remarks:
            warn(remark)
        if self._display.moves:
            self._display.show_below(self._table())

    def _say_why(self, trial: "TrialRecord") -> None:
        """Says why a trial failed, each reason once."""
        if trial.reason is not None and trial.reason not in self._reasons:
            self._reasons.add(trial.reason)
            warn(f"trial {trial.number} failed: {trial.reason}")

    def _table(self) -> RenderableType:
        best = f", best {loss(self._best[0].value)}" if self._best else ""
        title = f"study {self._spec.name}: {self._finished} of {self._spec.search.trials} trials"
        names = self._spec.search.space
        table = table_of("trial", "validation loss", *names)
        for trial in self._best:
            values = (setting(name, trial.params[name]) for name in names)
            table.add_row(str(trial.number), loss(trial.value), *values)
        return Group(title + best, table)

    def _line(self, trial: "TrialRecord") -> str:
        told = "" if trial.value is None else f"  loss {loss(trial.value)}"
        params = "  ".join(f"{name} {setting(name, v)}" for name, v in trial.params.items())
        done = f"[{self._finished}/{self._spec.search.trials}]"
        best = f"best {loss(self._best[0].value)}" if self._best else ""
        status = ", ".join(filter(None, (best, self._display.left)))
        return f"{done} trial {trial.number}: {trial.state}{told}  {params}  ({status})"


def _best(trials: list["TrialRecord"]) -> list["TrialRecord"]:
    with_value = [trial for trial in trials if trial.value is not None]
    return sorted(with_value, key=lambda trial: trial.value or 0.0)[:BEST_SHOWN]
