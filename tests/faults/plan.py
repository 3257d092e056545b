"""Which faults a round has, and when: a function of its seed."""

import random
from dataclasses import dataclass

SEARCH_SECONDS, CONFIRMATION_SECONDS = 1.5, 3.0
"""The longest wait in the stages of a study: about as long as an undisturbed one takes, and for
the search, as a pack does."""
LONGEST_OUTAGE_SECONDS = 3.0
EXTRA = 2
"""The most faults beside one of each kind."""


GROWER = "grower"
"""What makes a study grow: it is killed whenever it runs."""


@dataclass(frozen=True, order=True)
class Fault:
    """One kill. In time by what the study has done: kills before it make it take longer."""

    after: int
    """Trials that are finished by then; 0: while the driver starts, all: while it confirms."""
    wait: float
    """Seconds since that many were first seen."""
    kind: str
    outage: float
    """Seconds until what was killed is started again."""


def plan(seed: int, trials: int, kinds: tuple[str, ...], start_seconds: float) -> list[Fault]:
    """The faults of one round, in their order: all `kinds` and a few more, some close together.

    `start_seconds` is the longest wait while the driver starts.
    """
    chance = random.Random(seed)
    drawn = [*kinds, *chance.choices(kinds, k=chance.randint(0, EXTRA))]
    chance.shuffle(drawn)
    faults: list[Fault] = []
    for kind in drawn:
        if faults and chance.random() < 0.25:
            after, wait = faults[-1].after, faults[-1].wait + chance.uniform(0, 0.5)
        else:
            after, wait = _moment(chance, trials, start_seconds)
        faults.append(Fault(after, wait, kind, chance.uniform(0, LONGEST_OUTAGE_SECONDS)))
    return sorted(faults)


def _moment(chance: random.Random, trials: int, start_seconds: float) -> tuple[int, float]:
    stage = chance.choices(("start", "search", "confirmation"), (2, 5, 2))[0]
    if stage == "start":
        return 0, chance.uniform(0, start_seconds)
    if stage == "search":
        return chance.randrange(1, trials), chance.uniform(0, SEARCH_SECONDS)
    return trials, chance.uniform(0, CONFIRMATION_SECONDS)
