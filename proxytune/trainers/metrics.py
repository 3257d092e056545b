"""metrics.jsonl: the lines in which a trainer reports, one JSON object each.

Several lines of one step add up; where they say the same thing twice, the last one counts.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxytune.errors import InputError

LOSSES = ("validation_loss", "train_loss")
KNOWN = ("step", *LOSSES, "tokens", "grad_norm", "seconds", "updates")
"""What has a meaning; any other number is kept under its own name."""


@dataclass(slots=True)
class StepMetrics:
    """What was reported of one step. A loss that is not finite is NaN; None: it was not told."""

    validation_loss: float | None = None
    train_loss: float | None = None
    tokens: int | None = None
    grad_norm: float | None = None
    seconds: float | None = None
    updates: dict[str, float] | None = None
    """Relative update since the start, by role."""
    others: dict[str, float] = field(default_factory=dict)

    @property
    def diverged(self) -> bool:
        """Whether a loss is not finite."""
        losses = (self.validation_loss, self.train_loss)
        return any(loss is not None and not math.isfinite(loss) for loss in losses)


class Metrics:
    """A file of metrics, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = self._line = 0
        self.steps: dict[int, StepMetrics] = {}
        """By step, in the order in which they first came."""

    def read(self, *, ended: bool = False) -> int:
        """Reads the lines that are new and whole; returns how many.

        A last line without its end is left for the next time; where the file has `ended`, it is
        read if it is whole all the same. Raises InputError for a line that is no report, with its
        number.
        """
        lines = 0
        for text in self._new_lines(ended):
            self._line += 1
            if text.strip():
                lines += 1
                self._add(text)
        return lines

    def require_whole(self) -> None:
        """Raises InputError if a last line is left that is torn, with its number."""
        if self.path.stat().st_size > self._offset:
            self._line += 1
            raise self._error("is cut off in its middle")

    def _new_lines(self, ended: bool) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new.rfind(b"\n") + 1
        if ended and _is_json(new[whole:]):
            whole = len(new)
        self._offset += whole
        yield from new[:whole].splitlines()

    def _add(self, text: bytes) -> None:
        try:
            report = json.loads(text)
        except ValueError:
            raise self._error(f"is not JSON: {text[:80].decode(errors='replace')!r}") from None
        if not isinstance(report, dict):
            raise self._error('must be an object, such as {"step": 25, "validation_loss": 2.3}')
        step = report.get("step")
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise self._error(f"step = {step!r}: must be a whole number of steps done")
        at = self.steps.setdefault(step, StepMetrics())
        for name in LOSSES:
            if name in report:
                setattr(at, name, self._loss(name, report[name]))
        for name in ("grad_norm", "seconds"):
            if name in report:
                setattr(at, name, self._number(name, report[name]))
        if report.get("tokens") is not None:
            at.tokens = round(self._number("tokens", report["tokens"]) or 0)
        if report.get("updates") is not None:
            at.updates = self._updates(report["updates"])
        at.others |= {
            name: float(value)
            for name, value in report.items()
            if name not in KNOWN and _is_number(value) and math.isfinite(value)
        }

    def _loss(self, name: str, value: Any) -> float:
        number = self._number(name, value)
        return math.nan if number is None else number

    def _number(self, name: str, value: Any) -> float | None:
        """None where it is not finite, or null."""
        if value is None:
            return None
        if not _is_number(value):
            raise self._error(f"{name} = {value!r}: must be a number, or null")
        return float(value) if math.isfinite(value) else None

    def _updates(self, given: Any) -> dict[str, float]:
        if not isinstance(given, dict):
            raise self._error(f"updates = {given!r}: must be an object, role: relative update")
        numbers = {role: self._number(f"updates.{role}", size) for role, size in given.items()}
        return {role: size for role, size in numbers.items() if size is not None}

    def _error(self, what: str) -> InputError:
        return InputError(f"{self.path}, line {self._line}: {what}")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
