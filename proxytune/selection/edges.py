"""What should make a user look again: an optimum at the end of a range, divergence nearby.

Notation
    C draws, D axes; a suffix of a name is a shape: argmins_CxD
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.search import Range
from proxytune.config.study import StudySpec
from proxytune.packs.selection import Cliff, Edge
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.selection.cube import Array, Cube
from proxytune.selection.optimum import at_ends
from proxytune.selection.surface import Surface

LIKELY = 0.1
"""An optimum at the end of a range with more than this probability is told."""
AWAY, GAIN = 0.15, 0.002
"""The loss at the end must be lower than so far away from it, by so many nats: many a loss hardly
depends on a hyperparameter, whose optimum may then be anywhere."""
OCTAVES, WIDTHS = 3.0, 3.0
"""How much wider a range is proposed: if it is log, or in widths of itself if it is not."""
NEARBY = 0.25
"""On every axis of the cube but the learning rate's."""
RATE = "learning_rate"


def edges(study: StudySpec, surface: Surface, argmins_CxD: Array) -> tuple[Edge, ...]:
    """The ends of ranges that the optimum may lie beyond."""
    found = []
    for name, entry in surface.cube.space.items():
        chances = at_ends(surface, argmins_CxD, name)
        for end, chance in zip((0.0, 1.0), chances, strict=True):
            if not isinstance(entry, Range) or chance <= LIKELY:
                continue
            falls = _falls(surface, argmins_CxD, name, end)
            proposed = _wider(study, name, entry, end)
            if falls and proposed is not None:
                bound = entry.low if end == 0 else entry.high
                found.append(_edge(study, name, bound, chance, proposed))
    return tuple(found)


def _edge(
    study: StudySpec, name: str, bound: float, chance: float, proposed: tuple[float, float]
) -> Edge:
    return Edge(
        field=name,
        bound=bound,
        probability=chance,
        proposed=proposed,
        remark=f"the best {name} may lie beyond {bound:g}, the end of its range (probability of "
        f"an optimum there: {chance:.0%}); put low: {proposed[0]:g}, high: {proposed[1]:g} into a "
        f"file of the space and run: proxytune study extend {study.name} --trials "
        f"{study.search.trials} --space FILE",
    )


def _falls(surface: Surface, argmins_CxD: Array, name: str, end: float) -> bool:
    """Whether the loss still falls towards the end of a range, the rest being at its best."""
    axis = surface.cube.names.index(name)

    def at(place: float) -> float:
        points_CxD = argmins_CxD.copy()
        points_CxD[:, axis] = place
        return float(surface.mean(points_CxD).min())

    return at(abs(end - AWAY)) - at(end) > GAIN


def _wider(study: StudySpec, name: str, entry: Range, end: float) -> tuple[float, float] | None:
    """The range, wider at one end as far as the hyperparameter allows; None if it cannot be."""
    bound = entry.low if end == 0 else entry.high
    away = 1.0 if end else -1.0
    for halvings in range(12):
        more = 0.5**halvings
        if entry.log:
            beyond = bound * 2.0 ** (away * OCTAVES * more)
        else:
            beyond = bound + away * WIDTHS * more * (entry.high - entry.low)
        beyond = float(f"{beyond:.3g}")
        if beyond != bound and _allowed(study, name, beyond):
            return (beyond, entry.high) if end == 0 else (entry.low, beyond)
    return None


def _allowed(study: StudySpec, name: str, beyond: float) -> bool:
    with suppress(ValidationError):
        study.hyperparameters_of({name: beyond})
        return True
    return False


def cliff(
    study: StudySpec, chosen: BaseHyperparameters, trials: Sequence[TrialRecord]
) -> Cliff | None:
    """The lowest diverged rate nearby, where the chosen one is above half of it."""
    space = study.search.space
    if RATE not in space:
        return None
    others = Cube({name: entry for name, entry in space.items() if name != RATE})
    at_D = others.units([{name: getattr(chosen, name) for name in others.names}])[0]
    diverged = [
        (trial.params[RATE], trial.number)
        for trial in trials
        if trial.state is TrialState.DIVERGED
        and np.all(np.abs(others.units([trial.params])[0] - at_D) <= NEARBY)
    ]
    rate, number = min(diverged, default=(np.inf, 0))
    if chosen.learning_rate <= rate / 2:
        return None
    return Cliff(
        bound=rate,
        trial=number,
        remark=f"the chosen learning_rate {chosen.learning_rate:.3g} is close to rates that "
        f"diverge: trial {number} did at {rate:.3g}, less than twice as high",
    )
