"""Is a selection as sure as it says, and is it better? On resampled studies of recorded trials.

python benchmarks/selection_coverage.py [--json]      three minutes on two cores

A study is 64 of the recorded trials (surface.py), drawn without replacement, with the losses
that they had. Fresh seeds are made up: the surface's loss at a point, and noise of the deviation
that seeds had on the recorded trials. The truth is the surface's minimum. Selections are compared
on the same studies: the point that the product chooses, and the best of four trials by two fresh
seeds, which is how proxytune chose before.
"""

import argparse
import json
import multiprocessing
import os
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from machine import machine
from surface import Surface, recorded, seed_noise
from threadpoolctl import threadpool_limits

from proxytune.config.load import load_study
from proxytune.intervals import paired
from proxytune.packs.pack import Evaluation
from proxytune.packs.selection import Selection, candidates
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.selection.race import Race
from proxytune.selection.select import Findings

SPEC = load_study(Path(__file__).parent / "surface.yaml")
SURFACE = Surface(SPEC.search.space, [row for row in recorded() if row["seed"] == SPEC.seed])
NOISE = seed_noise([row for row in recorded() if row["seed"] != SPEC.seed])
TRIALS = 64
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
Point = Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """What came of one study."""

    selection: Selection
    regret: float
    regret_before: float
    runs: int
    """On fresh seeds."""


def recorded_trials() -> list[TrialRecord]:
    """All recorded trials on the study's own seed."""
    rows = [row for row in recorded() if row["seed"] == SPEC.seed]
    return [_trial(number, row) for number, row in enumerate(rows)]


def _trial(number: int, row: Mapping[str, Any]) -> TrialRecord:
    whole = len(row["losses"]) == SPEC.training.evaluations
    params = {name: row[name] for name in SPEC.search.space}
    return TrialRecord(
        study=SPEC.name, number=number, params=params,
        state=TrialState.COMPLETE if whole else TrialState.DIVERGED,
        hyperparameters=SPEC.hyperparameters_of(params),
        value=row["losses"][-1] if whole else None,
        seed=SPEC.seed, pack="recorded", started=WHEN, finished=WHEN, seconds=1.0, tokens=1,
        flops=1.0, curve=(),
    )  # fmt: skip


RECORDS = recorded_trials()


def true_loss(point: Point) -> float | None:
    """The surface's; None where training diverges."""
    (curve,) = SURFACE.curves([point])
    return None if curve is None else float(curve[-1])


def fresh_loss(study: int, point: Point, seed: int) -> float | None:
    """On a fresh seed: the same each time it is asked for."""
    loss = true_loss(point)
    if loss is None:
        return None
    rng = np.random.default_rng((study, seed, zlib.crc32(json.dumps(point).encode())))
    return loss + NOISE * float(rng.standard_normal())


def point_of(hyperparameters: Any) -> dict[str, float]:
    """Its searched values."""
    return {name: getattr(hyperparameters, name) for name in SPEC.search.space}


def regret(hyperparameters: Any) -> float:
    """The surface's loss there, above its minimum."""
    loss = true_loss(point_of(hyperparameters))
    return (SURFACE.facts["lowest_recorded"] * 2 if loss is None else loss) - SURFACE.minimum


def run(race: Race, study: int) -> None:
    """Trains a race by the surface."""
    while (pack := race.next_pack()) is not None:
        for member in pack.members:
            loss = fresh_loss(study, point_of(member.hyperparameters), member.seed)
            evaluation = Evaluation(
                number=member.number, step=pack.training.steps, tokens=1, train_loss=loss,
                validation_loss=loss, grad_norm=None, lr_factor=1.0, seconds=0.0,
                diverged=loss is None,
            )  # fmt: skip
            race.report(pack, [evaluation])
        race.finish(pack, ())


def before(trials: Sequence[TrialRecord], study: int) -> float:
    """The regret of the best of four trials by the mean of two fresh seeds."""
    top = candidates(trials)[:4]

    def mean(candidate: Any) -> float:
        point = point_of(candidate.hyperparameters)
        losses = [fresh_loss(study, point, SPEC.seed + 1 + k) for k in range(2)]
        return fmean(float("inf") if loss is None else loss for loss in losses)

    return regret(min(top, key=mean).hyperparameters)


def outcome(study: int) -> Outcome:
    """One resampled study."""
    drawn = np.random.default_rng(study).choice(len(RECORDS), TRIALS, replace=False)
    trials = [RECORDS[place].model_copy(update={"number": n}) for n, place in enumerate(drawn)]
    found = Findings.of(SPEC, trials)
    race = found.race(Path("tokens"), Path("packs"))
    run(race, study)
    selection = found.selection(race)
    runs = sum(len(losses) for losses in race.losses.values())
    return Outcome(selection, regret(selection.point), before(trials, study), runs)


def coverage(outcomes: Sequence[Outcome], truth: Point) -> dict[str, float]:
    """The share of studies whose interval holds the true optimum, by hyperparameter."""
    return {
        name: fmean(
            one.selection.interval[name][0] <= value <= one.selection.interval[name][1]
            for one in outcomes
        )
        for name, value in ((name, float(f"{truth[name]:.4g}")) for name in SPEC.search.space)
    }


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The result file."""
    chosen = [one.regret for one in outcomes]
    earlier = [one.regret_before for one in outcomes]
    gain = paired(np.array(earlier) - np.array(chosen)).interval
    origins = [one.selection.best.origin for one in outcomes]
    return {
        "studies": len(outcomes),
        "trials": TRIALS,
        "seed_noise": NOISE,
        "optimum": SURFACE.best,
        "coverage_of_80_percent": coverage(outcomes, SURFACE.best),
        "octaves_of_learning_rate": median(
            float(np.log2(high / low))
            for low, high in (one.selection.interval["learning_rate"] for one in outcomes)
        ),
        "regret": {"mean": fmean(chosen), "median": median(chosen), "worst": max(chosen),
                   "best": min(chosen)},
        "regret_before": {"mean": fmean(earlier), "median": median(earlier),
                          "worst": max(earlier)},
        "gain": gain.model_dump(),
        "chosen_from": {origin: origins.count(origin) for origin in sorted(set(origins))},
        "surface": {kind: [o.selection.surface for o in outcomes].count(kind) for kind in
                    ("gp", "quadratic")},
        "runs_on_fresh_seeds": {"mean": fmean(one.runs for one in outcomes),
                                "most": max(one.runs for one in outcomes), "before": 8},
        "edges": {name: sum(name in [e.field for e in o.selection.edge] for o in outcomes)
                  for name in SPEC.search.space},
        "machine": machine(),
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    """For reading."""
    lines = [f"{name}: {share:.0%}" for name, share in result["coverage_of_80_percent"].items()]
    now, then = result["regret"], result["regret_before"]
    gain = result["gain"]
    return "\n".join(
        [
            f"80 % intervals of {result['studies']} studies that hold the optimum:",
            *lines,
            f"mean regret {now['mean']:.4f} nats, before {then['mean']:.4f}: "
            f"{gain['value']:.4f} less ({gain['low']:.4f} to {gain['high']:.4f})",
            f"runs on fresh seeds: {result['runs_on_fresh_seeds']['mean']:.1f}, before 8",
        ]
    )


def one_thread() -> None:
    """A process a core: threads of their own would be in each other's way."""
    threadpool_limits(1)


def main() -> None:
    """Selects on all studies and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--studies", type=int, default=100)
    given = parser.parse_args()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context, one_thread) as pool:
        result = report(list(pool.map(outcome, range(given.studies))))
    print(json.dumps(result, indent=2) if given.json else text(result))


if __name__ == "__main__":
    main()
