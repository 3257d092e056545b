"""The point that a study's search leads to, how sure that is, and whom it was preferred to."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field

from proxytune.config.base import Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.packs.trial import TrialRecord, TrialState

Origin = Literal["trial", "surface", "robust"]
"""A trial of the search; the minimum of the surface fitted to the trials; the point of that
surface where errors in carrying it over cost least."""


class Candidate(Spec):
    """A point that may be chosen, with its losses on fresh seeds."""

    number: int | None
    """The trial's number; None for a point between trials."""
    origin: Origin = "trial"
    """Where it comes from."""
    hyperparameters: BaseHyperparameters
    """Its base hyperparameters."""
    value: float | None
    """Its validation loss in the search; None for a point between trials."""
    predicted: float | None = None
    """The fitted surface's loss there, nats per token; None if there is no surface."""
    confirmed: tuple[float | None, ...] = ()
    """Validation loss on each fresh seed that it was trained on; None where it diverged."""
    equal: bool | None = None
    """Whether these seeds cannot tell it from the chosen point: equal within noise. None if that
    was not judged."""

    @property
    def mean(self) -> float:
        """Mean loss over fresh seeds (infinite if one diverged), or the search's without any."""
        if not self.confirmed:
            return math.inf if self.value is None else self.value
        return statistics.fmean(math.inf if loss is None else loss for loss in self.confirmed)

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None below two finite losses."""
        losses = [loss for loss in self.confirmed if loss is not None]
        if len(losses) < 2:
            return None
        return statistics.stdev(losses) / math.sqrt(len(losses))

    @property
    def name(self) -> str:
        """In words."""
        if self.number is not None:
            return f"trial {self.number}"
        return {"surface": "the surface's minimum", "robust": "the robust point"}[self.origin]


class Edge(Spec):
    """The optimum may lie outside of the range that was searched."""

    field: str
    """The searched hyperparameter."""
    bound: float
    """The end of its range that the optimum may lie beyond."""
    probability: float
    """That the optimum within the range is at that end (in the last 5 % of the range)."""
    proposed: tuple[float, float]
    """A wider range: lowest and highest value."""
    remark: str
    """The same in words."""


class Cliff(Spec):
    """The chosen learning rate is close to rates at which trials diverged."""

    field: Literal["learning_rate"] = "learning_rate"
    """The hyperparameter."""
    bound: float
    """The lowest rate of a trial nearby that diverged."""
    trial: int
    """That trial's number."""
    remark: str
    """The same in words."""


class Selection(Spec):
    """The outcome of a study: the point to project, and how sure it is."""

    trial: int | None
    """Number of the chosen trial; None if the chosen point lies between trials."""
    point: BaseHyperparameters
    """The base hyperparameters of the chosen point, which are projected."""
    validation_loss: float
    """Its mean loss over fresh seeds, nats per token; without any, its loss in the search."""
    standard_error: float | None
    """Of that mean; None below two fresh seeds."""
    interval: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Where the optimum of each searched hyperparameter lies with a probability of 80 %; empty
    in studies of older versions."""
    surface: Literal["gp", "quadratic"] | None = None
    """What was fitted to the trials: a Gaussian process, or a quadratic where that does not fit.
    None in studies of older versions."""
    edge: tuple[Edge, ...] = ()
    """Ends of ranges that the optimum may lie beyond."""
    cliff: Cliff | None = None
    """Whether trials nearby diverged at rates not far above the chosen one."""
    seeds: tuple[int, ...] = ()
    """The fresh seeds that the chosen point was trained on."""
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    """All that were trained on fresh seeds, best first."""
    tokens: int
    """Tokens that all of them trained on, on fresh seeds."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate], tokens: int, **found: Any) -> Self:
        """The selection from candidates, of which the first is the best."""
        return cls(
            trial=candidates[0].number,
            point=candidates[0].hyperparameters,
            validation_loss=candidates[0].mean,
            standard_error=candidates[0].standard_error,
            candidates=tuple(candidates),
            tokens=tokens,
            **found,
        )

    def stored(self) -> dict[str, Any]:
        """What is kept of it in storage: all that cannot be computed from the candidates."""
        computed = {"trial", "point", "validation_loss", "standard_error"}
        return self.model_dump(mode="json", exclude=computed)

    @classmethod
    def read(cls, stored: Mapping[str, Any], seed: int) -> Self:
        """From what was kept of it, also by an older version, which kept less.

        `seed` is the study's: fresh ones follow it.
        """
        candidates = [Candidate.model_validate(candidate) for candidate in stored["candidates"]]
        fresh = tuple(range(seed + 1, seed + 1 + len(candidates[0].confirmed)))
        rest: dict[str, Any] = {"tokens": 0, "seeds": fresh} | {**stored}
        return cls.of(**rest | {"candidates": candidates})

    @property
    def best(self) -> Candidate:
        """Whose base hyperparameters are projected."""
        return self.candidates[0]

    @property
    def equal(self) -> tuple[Candidate, ...]:
        """The candidates that the fresh seeds cannot tell from the chosen one."""
        return tuple(candidate for candidate in self.candidates[1:] if candidate.equal)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know about the chosen point, in words."""
        cliff = () if self.cliff is None else (self.cliff.remark,)
        return (*(edge.remark for edge in self.edge), *cliff)


def candidates(trials: Iterable[TrialRecord]) -> list[Candidate]:
    """Trials that trained to the end, best first."""
    found = [
        (t.value, Candidate(number=t.number, hyperparameters=t.hyperparameters, value=t.value))
        for t in trials
        if t.state is TrialState.COMPLETE and t.value is not None
    ]
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
