"""Which trial of a study is best, and whom it was preferred to."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.packs.trial import TrialRecord, TrialState


class Candidate(Spec):
    """One of the best trials, with its losses on fresh seeds."""

    number: int
    """The trial's number."""
    hyperparameters: BaseHyperparameters
    """Its base hyperparameters."""
    value: float
    """Its validation loss in the search."""
    confirmed: tuple[float | None, ...] = ()
    """Validation loss on each fresh seed; None where it diverged."""

    @property
    def mean(self) -> float:
        """Mean loss over fresh seeds (infinite if one diverged), or the search's without any."""
        if not self.confirmed:
            return self.value
        return statistics.fmean(math.inf if loss is None else loss for loss in self.confirmed)

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None below two finite losses."""
        losses = [loss for loss in self.confirmed if loss is not None]
        if len(losses) < 2:
            return None
        return statistics.stdev(losses) / math.sqrt(len(losses))


class Selection(Spec):
    """The outcome of a study: its best trial, confirmed on fresh seeds."""

    trial: int
    """Number of the best trial, whose base hyperparameters are projected."""
    validation_loss: float
    """Its mean loss over fresh seeds, nats per token; without any, its loss in the search."""
    standard_error: float | None
    """Of that mean; None below two fresh seeds."""
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    """All that were confirmed, best first."""
    tokens: int
    """Tokens that all of them trained on, on fresh seeds."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate], tokens: int) -> Self:
        """The selection from candidates, of which the first is the best."""
        return cls(
            trial=candidates[0].number,
            validation_loss=candidates[0].mean,
            standard_error=candidates[0].standard_error,
            candidates=tuple(candidates),
            tokens=tokens,
        )

    @property
    def best(self) -> Candidate:
        """Whose base hyperparameters are projected."""
        return self.candidates[0]


def candidates(trials: Iterable[TrialRecord]) -> list[Candidate]:
    """Trials that trained to the end, best first."""
    found = [
        Candidate(number=t.number, hyperparameters=t.hyperparameters, value=t.value)
        for t in trials
        if t.state is TrialState.COMPLETE and t.value is not None
    ]
    return sorted(found, key=lambda candidate: candidate.value)
