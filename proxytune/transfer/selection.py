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
from proxytune.packs.pack import Evaluation, Member, PackSpec


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


class Confirmation:
    """Asks for the candidates' training on fresh seeds: one pack a seed, all candidates in it.

    A pack source (see search/executor.py). A fresh seed means other initial weights and another
    order of batches.
    """

    def __init__(self, study: StudySpec, candidates: Sequence[Candidate], tokens: Path) -> None:
        self._study, self._candidates = study.name, list(candidates)
        self._lost: list[str] = []
        self._losses: dict[tuple[int, int], float | None] = {}
        self._tokens: dict[tuple[int, int], int] = {}
        self._packs = [self._pack(study, index, tokens) for index in range(study.selection.seeds)]
        self._waiting = list(self._packs)

    def next_pack(self) -> PackSpec | None:
        """The next seed's pack."""
        return self._waiting.pop(0) if self._waiting else None

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Keeps final losses; nobody is dropped."""
        for evaluation in evaluations:
            run = pack.data_seed, evaluation.number
            self._tokens[run] = max(evaluation.tokens, self._tokens.get(run, 0))
            if evaluation.diverged or evaluation.step == pack.training.steps:
                loss = None if evaluation.diverged else evaluation.validation_loss
                self._losses[run] = loss
        return frozenset()

    def finish(self, pack: PackSpec) -> None:
        """Nothing is left to do."""

    def fail(self, pack: PackSpec, reason: str) -> None:
        """A lost pack says nothing about its candidates: `selection` will refuse."""
        self._lost.append(f"{pack.name} was lost ({reason})")

    def too_large(self, pack: PackSpec) -> None:
        """Goes on in halves."""
        self._waiting[:0] = pack.halves()

    @property
    def exhausted(self) -> bool:
        """Whether all packs were given out."""
        return not self._waiting

    def selection(self) -> Selection:
        """The candidates by their mean loss.

        Raises RunError if a pack was lost, or if every candidate diverged on some fresh seed.
        """
        if self._lost:
            raise RunError(
                f"study {self._study!r}: {'; '.join(self._lost)}; "
                f"try again with: proxytune study run {self._study}"
            )
        confirmed = [
            candidate.model_copy(
                update={
                    "confirmed": tuple(
                        self._losses.get((pack.data_seed, candidate.number))
                        for pack in self._packs
                    )
                }
            )
            for candidate in self._candidates
        ]
        selection = Selection(
            candidates=tuple(sorted(confirmed, key=lambda c: (c.mean, c.value))),
            tokens=sum(self._tokens.values()),
        )
        if math.isinf(selection.best.mean):
            raise RunError(
                f"study {self._study!r}: each of its best {len(confirmed)} trials diverged "
                "on a fresh seed; search lower learning rates"
            )
        return selection

    def _pack(self, study: StudySpec, index: int, tokens: Path) -> PackSpec:
        seed = study.seed + 1 + index
        return PackSpec(
            name=f"confirmation-{seed}",
            shape=study.proxy,
            base=study.base,
            parameterization=study.parameterization,
            training=study.training,
            data_seed=seed,
            tokens=tokens,
            threads=study.execution.cpus_per_pack,
            members=tuple(
                Member(number=c.number, seed=seed, hyperparameters=c.hyperparameters)
                for c in self._candidates
            ),
        )
