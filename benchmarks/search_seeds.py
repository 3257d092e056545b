"""Should the trials of a search share a seed? And how soon can noise let one find a good point?

python benchmarks/search_seeds.py [--json]      seconds; trains nothing

A search is N of the quickstart's recorded trials (truth.py: 96 points, each on 8 seeds), drawn
without replacement. Its trials have one seed, or one for each pack, or each its own, of the first
four of a shuffle. It chooses the trial of the lowest loss; a race then trains the four lowest on
the other four seeds, and chooses the lowest mean. Regret is the truth's loss at what is chosen,
above its minimum. Points are drawn at random: what a better sampler gains is not in here.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
from machine import machine
from truth import SEEDS, by_point, recorded, truth, whole

SEARCHES = 4000
WITHIN = 0.01
"""Nats."""
TRIALS = (8, 16, 24, 32, 40, 64, 96)
PACK, CANDIDATES, SEARCHED = 8, 4, len(SEEDS) // 2

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int_]

WAYS: Mapping[str, Callable[[int, np.random.Generator], Places]] = {
    "one seed": lambda trials, rng: np.zeros(trials, int),
    "one per pack": lambda trials, rng: np.arange(trials) // PACK % SEARCHED,
    "one per trial": lambda trials, rng: rng.integers(SEARCHED, size=trials),
}
"""Which of the first seeds each trial has."""


def losses_and_regrets() -> tuple[Array, Array]:
    """Last losses (points, seeds), and the regret of each point."""
    points, trials = zip(*by_point(recorded()), strict=True)
    by_seed = [
        {row["seed"]: row["losses"][-1] if whole(row) else np.inf for row in of} for of in trials
    ]
    losses_PxS = np.array([[of[seed] for seed in SEEDS] for of in by_seed])
    return losses_PxS, np.array(truth().regrets(points))


def search(losses_PxS: Array, trials: int, way: str, rng: np.random.Generator) -> tuple[int, int]:
    """The points that one search chooses before, and after its race."""
    point_N = rng.choice(len(losses_PxS), trials, replace=False)
    seed_S = rng.permutation(len(SEEDS))
    seed_N = seed_S[WAYS[way](trials, rng)]
    best_C = point_N[np.argsort(losses_PxS[point_N, seed_N])[:CANDIDATES]]
    fresh_C = losses_PxS[best_C][:, seed_S[SEARCHED:]].mean(1)
    return int(best_C[0]), int(best_C[fresh_C.argmin()])


def summary(regrets: Array) -> dict[str, float]:
    """Of the searches' regrets."""
    return {
        "mean": fmean(regrets),
        "median": float(np.median(regrets)),
        "within": float(np.mean(regrets <= WITHIN)),
    }


def main() -> None:
    """Counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    as_json = parser.parse_args().json
    losses_PxS, regret_P = losses_and_regrets()
    found: dict[str, Any] = {}
    for way in WAYS:
        for trials in TRIALS:
            rng = np.random.default_rng(trials)
            chosen = np.array([search(losses_PxS, trials, way, rng) for _ in range(SEARCHES)])
            before, after = regret_P[chosen].T
            found.setdefault(way, {})[trials] = {
                "before the race": summary(before),
                "after the race": summary(after),
            }
    result = {"searches": SEARCHES, "within": WITHIN, "ways": found, "machine": machine()}
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for way, of_way in found.items():
        for trials, of in of_way.items():
            means = ", ".join(
                f"{when} {one['mean']:.4f} ({one['within']:.0%} within {WITHIN:g})"
                for when, one in of.items()
            )
            print(f"{way}, {trials} trials: {means}")


if __name__ == "__main__":
    main()
