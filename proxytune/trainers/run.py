"""The folder of one run of a command: what it is told, what it reports, and what is known of it.

settings.json, metrics.jsonl, stdout.log, stderr.log, and state.json, which is proxytune's own;
everything else is the command's.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from proxytune.config.base import Spec
from proxytune.errors import InputError
from proxytune.files import write_json
from proxytune.trainers.metrics import Metrics
from proxytune.trainers.settings import TrainerSettings

STATE = "state.json"


class RunState(Spec):
    """What is known of a run between attempts."""

    schema_version: Literal[1] = 1
    """Version of the file."""
    attempts: int = 0
    """Attempts that were started."""
    seconds: dict[int, float] = Field(default_factory=dict)
    """Time of training at each evaluation that was told, by step."""
    complete: bool = False
    """Whether the command has ended well, with all evaluations done."""


def forget_run(folder: Path) -> None:
    """Has the next attempt in this folder start anew; logs stay until then."""
    (folder / STATE).unlink(missing_ok=True)


class RunFolder:
    """The folder of a run, which is resumed if it is there, and else is new."""

    def __init__(self, path: Path, settings: TrainerSettings) -> None:
        self.path, self._settings = path, settings
        self.settings, self._state_file = path / "settings.json", path / STATE
        self.metrics = Metrics(path / "metrics.jsonl")
        """What the command has reported; nothing is read yet but of a run that is resumed."""
        self.state = self._state_of_same_run() or self._new()

    def start_attempt(self) -> None:
        """Counts an attempt, and writes its settings; the first one has nothing to resume."""
        resume = self.state.attempts > 0
        self._keep(attempts=self.state.attempts + 1)
        settings = self._settings.model_copy(update={"resume": resume})
        write_json(self.settings, settings.model_dump(mode="json"))

    def keep_evaluation(self, step: int, seconds: float, *, complete: bool) -> None:
        """Keeps that an evaluation is told."""
        self._keep(seconds=self.state.seconds | {step: seconds}, complete=complete)

    def _keep(self, **news: Any) -> None:
        self.state = self.state.model_copy(update=news)
        write_json(self._state_file, self.state.model_dump(mode="json"))

    def _state_of_same_run(self) -> RunState | None:
        """The state that is there; None if it is of another run, or does not fit its metrics."""
        try:
            before = TrainerSettings.model_validate_json(self.settings.read_bytes())
            state = RunState.model_validate_json(self._state_file.read_bytes())
            self.metrics.read()
        except (OSError, ValueError, InputError):
            return None
        known = set(state.seconds) <= set(self.metrics.steps)
        return state if known and _same_run(before, self._settings) else None

    def _new(self) -> RunState:
        """Clears the folder, which may be left from a deleted study of the same name."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.metrics = Metrics(self.path / "metrics.jsonl")
        write_json(self.settings, self._settings.model_dump(mode="json"))
        return RunState()


def _same_run(one: TrainerSettings, other: TrainerSettings) -> bool:
    """Whether two settings are of the same run; the same tokens may be in another folder."""

    def essence(settings: TrainerSettings) -> str:
        tokens = Path(settings.tokens).name
        return json.dumps(
            settings.model_dump(mode="json") | {"resume": None, "tokens": tokens}, sort_keys=True
        )

    return essence(one) == essence(other)
