"""Trials per hour, end to end: one study as packs, and in the three ways people would do it now.

packs       proxytune study create, with all it records
processes   Ray Tune with OptunaSearch, a process a trial
reused      the same with reuse_actors=True
sequential  a Python loop over plain models, with all cores for each

All train the same trials (random, so that no way's order matters) for the same steps on the same
batches, each in a fresh process that is timed from start to end; the last three train the plain
model of plain.py, which starts from the same weights. They take turns in several rounds, so that a
machine that gets slower for a while slows all of them; a ratio is the median over rounds.

    python benchmarks/pack_vs_processes.py --json      three quarters of an hour on two cores
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from machine import machine
from ray_tune import pack_of_one, ray_tune

from proxytune.config.load import load_study
from proxytune.config.study import StudySpec
from proxytune.data.prepare import prepare

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.yaml"
HIGHEST_RATE = 0.02
"""Above, training of this proxy is chaotic: the last digits of two orders of summation grow until
the losses differ in the third, whoever trains, and nothing could be compared."""
RIVALS = ("processes", "reused", "sequential")
CORES = len(os.sched_getaffinity(0))


def study_document(trials: int, pack_size: int) -> dict[str, Any]:
    """The quickstart with a space of stable learning rates, and without the confirmation."""
    document: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    document["name"] = "pack-vs-processes"
    document["search"] |= {"trials": trials, "pack_size": pack_size, "sampler": "random"}
    document["search"]["space"]["learning_rate"]["high"] = HIGHEST_RATE
    document["selection"] = {"top": 1, "seeds": 0}
    return document


def timed(command: Sequence[str]) -> float:
    """Seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def run_packs(study: Path, home: Path) -> tuple[float, list[dict[str, Any]]]:
    """The product itself; also the trials it chose, with their losses."""
    proxytune = [str(Path(sys.executable).with_name("proxytune"))]
    seconds = timed([*proxytune, "study", "create", str(study), "--home", str(home)])
    shown = subprocess.run(
        [*proxytune, "study", "show", load_study(study).name, "--home", str(home), "--json"],
        check=True,
        capture_output=True,
    )
    return seconds, json.loads(shown.stdout)["trials"]


def run_rival(rival: str, share: float, study: Path, params: Path, losses: Path) -> float:
    """One of the other ways, in a process of its own."""
    arguments = ["--study", study, "--params", params, "--losses", losses, "--gpu-share", share]
    return timed([sys.executable, __file__, "--rival", rival, *map(str, arguments)])


def sequential(spec: StudySpec, tokens: Path, points: Sequence[dict[str, Any]]) -> list[float]:
    """Final losses of a loop."""
    from plain import PlainTrainer

    return [PlainTrainer(pack_of_one(spec, tokens, p, CORES)).run()[-1] for p in points]


def processes(
    spec: StudySpec, tokens: Path, points: Sequence[dict[str, Any]], reuse: bool, share: float
) -> list[float]:
    """Final losses by Ray Tune with OptunaSearch, which is given the points to evaluate."""
    from optuna.samplers import RandomSampler

    sampler = RandomSampler(seed=spec.seed)
    outcomes = ray_tune(
        spec, tokens, len(points), reuse, share, points_to_evaluate=list(points), sampler=sampler
    )
    by_point = {_key(outcome.params): outcome.loss for outcome in outcomes}
    return [by_point[_key(point)] for point in points]


def _key(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True)


def run_all(
    trials: int, pack_size: int, rounds: int, rivals: Sequence[str], share: float, folder: Path
) -> dict[str, Any]:
    """Every way once in each round, each round beginning with another one."""
    study, params, losses = folder / "study.yaml", folder / "params.json", folder / "losses.json"
    study.write_text(yaml.safe_dump(study_document(trials, pack_size)))
    ways = ["packs", *rivals]
    seconds: list[dict[str, float]] = []
    differences: list[float] = []
    told: list[dict[str, Any]] = []
    for number in range(rounds):
        first = number % len(ways)
        took = {}
        # Packs begin the first round, since they choose the trials of all.
        for way in ways[first:] + ways[:first]:
            if way == "packs":
                took[way], told = run_packs(study, folder / f"home-{number}")
                params.write_text(json.dumps([trial["params"] for trial in told]))
            else:
                took[way] = run_rival(way, share, study, params, losses)
                pairs = zip(told, json.loads(losses.read_text()), strict=True)
                differences += [abs(trial["value"] - loss) for trial, loss in pairs]
        seconds.append({way: took[way] for way in ways})
    middle = {way: statistics.median(took[way] for took in seconds) for way in ways}
    return {
        "trials": trials,
        "pack_size": pack_size,
        "steps": load_study(study).training.steps,
        "seconds": middle,
        "rounds": seconds,
        "trials_per_hour": {way: 3600 * trials / s for way, s in middle.items()},
        **{
            _ratio_name(rival): statistics.median(took[rival] / took["packs"] for took in seconds)
            for rival in rivals
        },
        "max_loss_difference": max(differences, default=math.nan),
        "median_loss_difference": statistics.median(differences or [math.nan]),
    }


def _ratio_name(rival: str) -> str:
    return "ratio_vs_reused_actors" if rival == "reused" else f"ratio_vs_{rival}"


@click.command()
@click.option("--trials", default=64, show_default=True)
@click.option("--pack-size", default=16, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--without", multiple=True, type=click.Choice(RIVALS), help="Leave a rival out.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--rival", type=click.Choice(RIVALS), hidden=True)
@click.option("--study", type=click.Path(path_type=Path), hidden=True)
@click.option("--params", type=click.Path(path_type=Path), hidden=True)
@click.option("--losses", type=click.Path(path_type=Path), hidden=True)
@click.option("--gpu-share", default=1.0, help="Ray: GPU share of a trial; 0.125 for 8 at once.")
def main(
    trials: int,
    pack_size: int,
    rounds: int,
    without: Sequence[str],
    as_json: bool,
    rival: str | None,
    study: Path,
    params: Path,
    losses: Path,
    gpu_share: float,
) -> None:
    """Compares packs with one process a trial, reused actors, and a plain loop."""
    if rival is not None:
        spec = load_study(study)
        tokens = prepare(spec.data, spec.proxy.seq_len, study.parent / "rivals-tokens")
        points = json.loads(params.read_text())
        if rival == "sequential":
            found = sequential(spec, tokens, points)
        else:
            found = processes(spec, tokens, points, rival == "reused", gpu_share)
        losses.write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        rivals = [name for name in RIVALS if name not in without]
        document = {
            "machine": machine(),
            **run_all(trials, pack_size, rounds, rivals, gpu_share, Path(folder)),
        }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for name, rate in document["trials_per_hour"].items():
        print(f"{name:12} {rate:8.0f} trials an hour")
    print(f"largest difference of a final loss: {document['max_loss_difference']:.1e} nats")


if __name__ == "__main__":
    main()
