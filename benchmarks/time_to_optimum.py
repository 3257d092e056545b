"""Seconds and trials until the chosen point is as good as the best: the quickstart, in four ways.

default     proxytune study create, with its default sampler
tpe         the same with TPE
random      the same with random search
reused      Ray Tune with OptunaSearch (Optuna's TPE) and reused actors, a process per trial

The chosen point is that of the lowest loss so far; that of a study of proxytune is in the end what
its race chose. It is as good as the best where its true loss (truth.py) is within 0.01 nats of the
lowest. The clock starts with the process. The ways take turns in rounds, one seed each, so that a
machine that gets slower for a while slows all of them.

    python benchmarks/time_to_optimum.py --json      an hour and a half on two slow cores
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import yaml
from machine import machine
from ray_tune import Outcome, ray_tune
from surface import Surface
from truth import truth

from proxytune.config.load import load_study
from proxytune.data.prepare import prepare

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.yaml"
WITHIN = 0.01
"""Nats."""
TRIALS = {"default": 40, "tpe": 40, "random": 40, "reused": 96}
"""Of each way; the rival's take about twice as long as a default study with its race. One that is
not there by then counts as never."""
COUNTS = (16, 32, 40, 64, 96)
"""Trials after which regret is taken."""
TOGETHER = 1.0
"""Seconds in which members of one pack end."""


@dataclass(frozen=True)
class Found:
    """What one way found on one seed."""

    seconds: float | None
    """Until the chosen point was as good as the best; None for never."""
    trials: int | None
    """That had ended by then."""
    regrets: dict[int, float | None]
    """The chosen point's true loss less the lowest, after so many trials; None if it diverges."""
    regret: float | None
    """The same in the end."""
    all_seconds: float
    """Until the end."""
    chosen: dict[str, Any]
    """The point that was chosen in the end."""


def study(seed: int, way: str, folder: Path) -> Path:
    """The quickstart with this seed."""
    document: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    document |= {"name": f"{way}-{seed}", "seed": seed}
    document["search"] |= {"trials": TRIALS[way]}
    if way in ("tpe", "random"):
        document["search"] |= {"sampler": way}
    path = folder / f"{way}-{seed}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def with_proxytune(path: Path, home: Path) -> tuple[list[Outcome], Outcome]:
    """The trials of a study, from Optuna's storage, and what its race chose."""
    command = [str(Path(sys.executable).with_name("proxytune")), "study"]
    at = ["--home", str(home)]
    subprocess.run([*command, "create", str(path), *at], check=True, stdout=subprocess.DEVNULL)
    ended = time.time()
    show = [*command, "show", path.stem, *at, "--json"]
    shown = json.loads(subprocess.run(show, check=True, capture_output=True).stdout)
    best = shown["selection"]["candidates"][0]
    names = shown["trials"][0]["params"]
    chosen = {name: best["hyperparameters"][name] for name in names}
    return [
        Outcome(
            trial["params"],
            math.inf if trial["value"] is None else trial["value"],
            datetime.fromisoformat(trial["finished"]).timestamp(),
        )
        for trial in shown["trials"]
    ], Outcome(chosen, fmean(best["confirmed"]), ended)


def with_ray_tune(path: Path) -> tuple[list[Outcome], Outcome]:
    """The same study by Ray Tune, in a process of its own; its answer is the lowest loss."""
    command = [sys.executable, __file__, "--reused", str(path)]
    done = subprocess.run(command, check=True, capture_output=True)
    outcomes = [Outcome(**outcome) for outcome in json.loads(done.stdout.splitlines()[-1])]
    best = min(outcomes, key=lambda outcome: outcome.loss)
    return outcomes, Outcome(best.params, best.loss, outcomes[-1].ended)


def reused(path: Path) -> list[Outcome]:
    """What that process does."""
    from optuna.samplers import TPESampler

    spec = load_study(path)
    tokens = prepare(spec.data, spec.proxy.seq_len, path.parent / "tokens")
    return ray_tune(spec, tokens, spec.search.trials, True, sampler=TPESampler(seed=spec.seed))


def judged(outcomes: Sequence[Outcome], answer: Outcome, surface: Surface, began: float) -> Found:
    """When the chosen point was as good as the best, and how good it was after some trials."""
    in_order = sorted(outcomes, key=lambda outcome: outcome.ended)
    regrets = surface.regrets([outcome.params for outcome in (*in_order, answer)])
    chosen = [
        min(range(count), key=lambda nth: in_order[nth].loss)
        for count in range(1, len(in_order) + 1)
    ]
    moments = [o.ended for o in in_order] + [answer.ended]
    good = [regrets[nth] <= WITHIN for nth in (*chosen, len(in_order))]
    ended = next((moment for moment, is_good in zip(moments, good, strict=True) if is_good), None)
    return Found(
        seconds=None if ended is None else ended - began,
        trials=None if ended is None else sum(o.ended <= ended + TOGETHER for o in in_order),
        regrets={
            count: _finite(regrets[chosen[count - 1]])
            for count in COUNTS
            if count <= len(in_order)
        },
        regret=_finite(regrets[-1]),
        all_seconds=answer.ended - began,
        chosen=answer.params,
    )


def _finite(regret: float) -> float | None:
    return regret if math.isfinite(regret) else None


def find(way: str, seed: int, surface: Surface, folder: Path) -> Found:
    """One way on one seed."""
    path = study(seed, way, folder)
    began = time.time()
    outcomes, answer = (
        with_ray_tune(path) if way == "reused" else with_proxytune(path, folder / path.stem)
    )
    found = judged(outcomes, answer, surface, began)
    print(f"seed {seed}, {way}: {found}", file=sys.stderr)
    return found


def median(values: Iterable[float | None]) -> float | None:
    """The median, in which None is more than every number."""
    middle = statistics.median(math.inf if value is None else value for value in values)
    return middle if math.isfinite(middle) else None


def report(rounds: Sequence[Mapping[str, Found]], surface: Surface) -> dict[str, Any]:
    """The result file."""
    by_way = {way: [found[way] for found in rounds] for way in rounds[0]}
    seconds = {way: median(one.seconds for one in found) for way, found in by_way.items()}
    default, rival = seconds.get("default"), seconds.get("reused")
    return {
        "within": WITHIN,
        "seeds": len(rounds),
        "median_seconds": seconds,
        "median_trials": {way: median(o.trials for o in found) for way, found in by_way.items()},
        "median_regrets": {
            way: {count: median(one.regrets[count] for one in found) for count in found[0].regrets}
            for way, found in by_way.items()
        },
        "median_regret": {way: median(o.regret for o in found) for way, found in by_way.items()},
        # None as well where more than half of the rival's seeds never got there.
        "default_of_reused": default / rival if default and rival else None,
        "default_of_reused_at_most": at_most(default, by_way.get("reused", ())),
        "median_all_seconds": {
            way: median(one.all_seconds for one in found) for way, found in by_way.items()
        },
        "rounds": [{way: asdict(one) for way, one in found.items()} for found in rounds],
        "truth": surface.facts,
        "machine": machine(),
    }


def at_most(default: float | None, rivals: Sequence[Found]) -> float | None:
    """The default's median over that of rivals, of which each that never got there counts with
    all its time."""
    seconds = [one.seconds or one.all_seconds for one in rivals]
    return default / statistics.median(seconds) if default and seconds else None


@click.command()
@click.option("--seeds", default=5, show_default=True)
@click.option("--without", multiple=True, type=click.Choice(list(TRIALS)), help="Leave one out.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--reused", "alone", type=click.Path(path_type=Path), hidden=True)
def main(seeds: int, without: Sequence[str], as_json: bool, alone: Path | None) -> None:
    """Measures the time to the optimum."""
    if alone is not None:
        print(json.dumps([asdict(outcome) for outcome in reused(alone)]))
        return
    surface = truth()
    ways = [way for way in TRIALS if way not in without]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            first = seed % len(ways)
            turn = ways[first:] + ways[:first]
            rounds.append({way: find(way, seed, surface, Path(folder)) for way in turn})
    result = report(rounds, surface)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for way in ways:
        seconds, trials = result["median_seconds"][way], result["median_trials"][way]
        print(f"{way:10} {f'{seconds:.0f} s, {trials:.0f} trials' if seconds else 'never'}")


if __name__ == "__main__":
    main()
