"""Kills things under a real study, round after round, and counts the damage."""

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tests.conftest import TEXT
from tests.faults.audit import Findings, audit
from tests.faults.commanded import Commanded
from tests.faults.deployed import Deployed
from tests.faults.embedded import Embedded
from tests.faults.growing import Growing
from tests.faults.plan import plan
from tests.faults.round import Course, Round
from tests.faults.rows import Store
from tests.faults.stage import Stage
from tests.faults.study import CORPUS, TRIALS, read_undisturbed, start_undisturbed

COUNTED = ("lost", "duplicated", "mismatched", "left_open")
FORBIDDEN = ("Traceback", "s3cret")
"""What no driver may print: a mistake of the program, and a password."""


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, help="Of the first round's faults.")
@click.option(
    "--embedded", is_flag=True, help="Stores and a cluster as on a laptop, without servers."
)
@click.option("--command", is_flag=True, help="A trainer of the user's own, on a laptop.")
@click.option("--growing", is_flag=True, help="A study that grows, in one process.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(
    rounds: int, seed: int, embedded: bool, command: bool, growing: bool, as_json: bool
) -> None:
    """Runs the same study under other faults each round; exit code 1 if any damage was done."""
    began = time.monotonic()
    # Short, as Ray makes sockets in it.
    with tempfile.TemporaryDirectory(prefix="proxytune-faults-", dir="/tmp") as scratch:
        folder = Path(scratch)
        (folder / CORPUS).write_text(TEXT)
        kind: type[Deployed] | type[Embedded] = Embedded if embedded else Deployed
        kind = Growing if growing else Commanded if command else kind
        with kind(folder) as stage, start_undisturbed(folder, stage.changes, stage.growth) as twin:
            assert twin.wait() == 0
            reference = read_undisturbed(folder)
            tell(f"ready after {time.monotonic() - began:.0f} s")
            told = [one_round(stage, folder, reference, seed + i) for i in range(rounds)]
    total = {name: sum(len(one[name]) for one in told) for name in COUNTED}
    kills: Counter[str] = sum((one["kills"] for one in told), Counter())
    document = {
        "rounds": rounds,
        "seed": seed,
        "kills": {name: kills[name] for name in kind.kinds},
        "driver_starts": sum(one["driver_starts"] for one in told),
        **total,
        "tracebacks": sum(len(one["tracebacks"]) for one in told),
        "missed": sum(one["missed"] for one in told),
        "seconds": round(time.monotonic() - began),
        "wrong": [one for one in told if is_wrong(one)],
    }
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in document.items()))
    sys.exit(1 if document["wrong"] else 0)


def one_round(stage: Stage, scratch: Path, reference: Store, seed: int) -> dict[str, Any]:
    """Plays one round and tells what came of it."""
    began = time.monotonic()
    name = f"faults-{seed}"
    folder = scratch / name
    folder.mkdir()
    played = Round(stage, folder, name)
    course = played.play(plan(seed, TRIALS, stage.kinds, stage.start_seconds))
    found = audit(stage.read(played.home, name), reference, TRIALS)
    found.left_open += stage.left_running(played.home)
    told = account(seed, course, found, played.outputs(), time.monotonic() - began)
    tell(
        f"seed {seed}: {told['seconds']} s, {course.starts} drivers, "
        + ", ".join(f"{name} {len(told[name])}" for name in (*COUNTED, "tracebacks"))
        + (f", missed {told['missed']}" if told["missed"] else "")
    )
    return told


def account(
    seed: int, course: Course, found: Findings, outputs: list[Path], seconds: float
) -> dict[str, Any]:
    """One round, as it is reported."""
    printed = {file.name: file.read_text(errors="replace") for file in outputs}
    return {
        "seed": seed,
        "kills": course.kills,
        "missed": len(course.missed),
        "driver_starts": course.starts,
        "events": course.events,
        **asdict(found),
        "tracebacks": [
            f"{name}: {text[-4000:]}"
            for name, text in printed.items()
            if any(word in text for word in FORBIDDEN)
        ],
        "given_up": course.given_up,
        "seconds": round(seconds, 1),
    }


def is_wrong(told: dict[str, Any]) -> bool:
    """Whether a round did any damage."""
    return any(told[name] for name in (*COUNTED, "tracebacks", "given_up"))


def tell(line: str) -> None:
    """Progress, for who waits."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
