"""A study's outcome: from its trials to candidates, and from their race to the chosen point."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.packs.selection import Candidate, Edge, Selection
from proxytune.packs.selection import candidates as finished
from proxytune.packs.trial import TrialRecord
from proxytune.selection.candidates import candidates
from proxytune.selection.cube import Cube
from proxytune.selection.edges import cliff, edges
from proxytune.selection.optimum import argmins, interval
from proxytune.selection.race import Race, standing
from proxytune.selection.surface import Surface


@dataclass(frozen=True, slots=True)
class Findings:
    """What the trials of a study tell, before anything trains on fresh seeds."""

    study: StudySpec
    trials: Sequence[TrialRecord]
    surface: Surface
    interval: dict[str, tuple[float, float]]
    edge: tuple[Edge, ...]
    candidates: list[Candidate]
    """To be raced; without fresh seeds, the best trials of the search, best first."""

    @classmethod
    def of(cls, study: StudySpec, trials: Sequence[TrialRecord]) -> "Findings":
        """Of a study's trials. Raises RunError if none trained to its end."""
        valued = finished(trials)
        if not valued:
            reasons = [trial.reason for trial in trials if trial.reason is not None]
            extend = f"proxytune study extend {study.name} --trials {study.search.trials}"
            remedy = (
                f"trials failed: {reasons[0]}; once that is fixed, train others: {extend}"
                if reasons
                else f"search lower learning rates: {extend} --space WIDER.yaml"
            )
            raise RunError(f"study {study.name!r}: no trial has a finite loss; {remedy}")
        surface = Surface.of(Cube(study.search.space), trials)
        minima = argmins(surface)
        raced = study.selection.seeds > 0
        return cls(
            study,
            trials,
            surface,
            interval(surface, minima),
            edges(study, surface, minima),
            candidates(study, surface, valued) if raced else valued[: study.selection.top],
        )

    def race(self, tokens: Path, checkpoints: Path) -> Race:
        """The race of the candidates, to be run before `selection`."""
        return Race(self.study, self.candidates, tokens, checkpoints)

    def selection(self, race: Race) -> Selection:
        """The outcome, once the race is over.

        Raises RunError if a pack was lost, since that says nothing about its candidates, or if
        every candidate diverged on some fresh seed.
        """
        name = self.study.name
        if race.lost:
            raise RunError(
                f"study {name!r}: {'; '.join(race.lost)}; "
                f"try again with: proxytune study run {name}"
            )
        ranked = ranking(race) if race.seeds else self.candidates
        best = ranked[0]
        if math.isinf(best.mean):
            raise RunError(
                f"study {name!r}: each of its best {len(ranked)} points diverged on a fresh seed; "
                "search lower learning rates"
            )
        return Selection.of(
            ranked,
            race.tokens,
            interval=_holding(best, self.interval),
            surface=self.surface.model.kind,
            edge=self.edge,
            cliff=cliff(self.study, best.hyperparameters, self.trials),
            seeds=tuple(race.seeds),
        )


def _holding(
    best: Candidate, interval: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The intervals, as wide as it takes to hold the chosen point.

    They were drawn before the race, whose fresh seeds may prefer a point beyond them.
    """
    chosen = {name: getattr(best.hyperparameters, name) for name in interval}
    return {
        name: (min(low, chosen[name]), max(high, chosen[name]))
        for name, (low, high) in interval.items()
    }


def ranking(race: Race) -> list[Candidate]:
    """The candidates with their losses on fresh seeds, best first.

    First those that went all the way, then those that dropped out, the latest first; whoever
    diverged on a seed is last.
    """
    seeds = len(race.seeds)
    whole = {n: of for n, of in race.losses.items() if len(of) == seeds}
    end = standing(whole)

    def place(number: int) -> tuple[bool, int, float, int]:
        of = race.losses[number]
        mean = math.inf if None in of else math.fsum(x for x in of if x is not None) / len(of)
        return None in of, -len(of), mean, list(race.candidates).index(number)

    def judged(number: int) -> bool | None:
        if number == first or seeds < 2:
            return None
        return number in end.order and number not in end.behind

    first, *others = sorted(race.candidates, key=place)
    return [
        race.candidates[number].model_copy(
            update={"confirmed": tuple(race.losses[number]), "equal": judged(number)}
        )
        for number in (first, *others)
    ]
