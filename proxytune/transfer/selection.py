"""Which trial is best, and not just luckiest: the top few train again on fresh seeds."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Member, PackSpec


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
    """The candidates, best first."""

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    tokens: int = 0
    """Tokens that all of them trained on, on fresh seeds."""

    @property
    def best(self) -> Candidate:
        """Whose base hyperparameters are projected."""
        return self.candidates[0]


def confirmation_packs(
    study: StudySpec, candidates: Sequence[Candidate], tokens: Path
) -> list[PackSpec]:
    """The candidates' training on fresh seeds: one pack per seed, with all candidates in it.

    A fresh seed means other initial weights and another order of batches.
    """
    seeds = range(study.seed + 1, study.seed + 1 + study.selection.seeds)
    return [
        PackSpec.of_experiment(
            study,
            f"confirmation-{seed}",
            [
                Member(number=c.number, seed=seed, hyperparameters=c.hyperparameters)
                for c in candidates
            ],
            parameterization=study.parameterization,
            tokens=tokens,
            seed=seed,
        )
        for seed in seeds
    ]


def select(study: str, candidates: Sequence[Candidate], packs: FixedPacks) -> Selection:
    """The candidates by their mean loss, once their packs have trained.

    Raises RunError if a pack was lost, since that says nothing about its candidates, or if every
    candidate diverged on some fresh seed.
    """
    if packs.lost:
        raise RunError(
            f"study {study!r}: {'; '.join(packs.lost)}; "
            f"try again with: proxytune study run {study}"
        )
    last = {
        c.number: [run.evaluations(c.number)[-1] for run in packs.runs.values()]
        for c in candidates
    }
    confirmed = [
        c.model_copy(
            update={
                "confirmed": tuple(
                    None if end.diverged else end.validation_loss for end in last[c.number]
                )
            }
        )
        for c in candidates
    ]
    selection = Selection(
        candidates=tuple(sorted(confirmed, key=lambda c: (c.mean, c.value))),
        tokens=sum(end.tokens for ends in last.values() for end in ends),
    )
    if math.isinf(selection.best.mean):
        raise RunError(
            f"study {study!r}: each of its best {len(confirmed)} trials diverged "
            "on a fresh seed; search lower learning rates"
        )
    return selection
