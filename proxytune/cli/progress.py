"""How a study is going: a live table in a terminal, plain lines anywhere else."""

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from proxytune.cli.options import warn
from proxytune.cli.tables import table_of

if TYPE_CHECKING:
    from proxytune.config.study import StudySpec
    from proxytune.packs.trial import TrialRecord
    from proxytune.search.source import Progress

BEST_SHOWN = 5
"""Trials in the live table."""


class StudyProgress:
    """Observes a study and shows it; used as a context manager."""

    def __init__(self, spec: "StudySpec", finished: list["TrialRecord"], quiet: bool) -> None:
        self._spec, self._finished = spec, len(finished)
        self._best = _best(finished)
        self._evaluations = len(finished) * spec.training.evaluations
        self._began, self._before = time.monotonic(), self._evaluations
        self._console = Console(stderr=quiet)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(
            f"study {spec.name}", total=spec.search.trials, completed=self._finished, status=""
        )
        self._live = Live(console=self._console) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
            self._live.update(self._table())
        else:
            self._print(f"study {self._spec.name}: {self._spec.search.trials} trials")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, progress: "Progress") -> None:
        """Takes in what just happened."""
        self._evaluations += len(progress.evaluations)
        if progress.pack_size is not None:
            self._console.print(f"packs of {progress.pack_size}, by measurement")
        if progress.too_large is not None:
            self._console.print(
                f"a pack of {progress.too_large} does not fit into memory: it goes on in halves"
            )
        self._best = _best([*self._best, *progress.finished])
        for trial in progress.finished:
            self._finished += 1
            # A trial that ended early needs no more evaluations.
            self._evaluations += self._spec.training.evaluations - len(trial.curve)
            if not self._live:
                self._print(self._line(trial))
        for remark in progress.remarks:
            warn(remark)
        if self._live:
            self._live.update(self._table())

    def _table(self) -> Table:
        self._bar.update(self._task, completed=self._finished, status=self._status())
        trials = table_of("trial", "validation loss", *self._spec.search.space)
        for trial in self._best:
            values = (f"{trial.params[name]:.4g}" for name in self._spec.search.space)
            trials.add_row(str(trial.number), f"{trial.value:.4f}", *values)
        whole = Table.grid()
        whole.add_row(self._bar)
        whole.add_row(trials)
        return whole

    def _line(self, trial: "TrialRecord") -> str:
        loss = "" if trial.value is None else f"  loss {trial.value:.4f}"
        params = "  ".join(f"{name} {value:.4g}" for name, value in trial.params.items())
        done = f"[{self._finished}/{self._spec.search.trials}]"
        return f"{done} trial {trial.number}: {trial.state}{loss}  {params}  ({self._status()})"

    def _status(self) -> str:
        loss = f"best {self._best[0].value:.4f}, " if self._best else ""
        return f"{loss}{_duration(self._seconds_left())} left"

    def _seconds_left(self) -> float | None:
        """By the rate of evaluations since this process began."""
        total = self._spec.search.trials * self._spec.training.evaluations
        done = self._evaluations - self._before
        if done <= 0:
            return None
        return (total - self._evaluations) * (time.monotonic() - self._began) / done

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr if self._console.stderr else sys.stdout, flush=True)


def _best(trials: list["TrialRecord"]) -> list["TrialRecord"]:
    with_value = [trial for trial in trials if trial.value is not None]
    return sorted(with_value, key=lambda trial: trial.value or 0.0)[:BEST_SHOWN]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
