"""The study that is disturbed, and its twin that is not."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from proxytune.home import Home
from tests.commands import ENVIRONMENT, journal
from tests.faults.rows import Store, read_optuna
from tests.faults.stage import Growth

TRIALS = 12
CORPUS, TWIN = "text.txt", "undisturbed"
STUDY: dict[str, Any] = {
    "seed": 7,
    "proxy": {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "seq_len": 32},
    "training": {"steps": 120, "batch_size": 4, "evaluations": 6, "evaluation_batches": 1},
    "search": {
        "trials": TRIALS,
        "pack_size": 2,
        "sampler": "random",
        # So low that rounding stays rounding; where training is less stable, it grows.
        "space": {"learning_rate": {"low": 0.0005, "high": 0.008, "log": True}},
    },
    "selection": {"top": 2, "seeds": 2, "max_seeds": 2},
}


IN_ONE_PROCESS = """
import json, sys
from proxytune.cli.main import main
for words in json.loads(sys.argv[1]):
    main(["study", *words], standalone_mode=False)
"""


def write_study(
    folder: Path, name: str, text: Path, executor: str, changes: Mapping[str, Any]
) -> Path:
    """The study's file, with what a stage changes of it."""
    spec = STUDY | {
        "name": name,
        "data": {"text": str(text)},
        "execution": {"executor": executor},
        **changes,
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def start_undisturbed(
    folder: Path, changes: Mapping[str, Any], growth: Sequence[Growth] = ()
) -> "subprocess.Popen[bytes]":
    """Runs the twin in one process, on a journal: without all that is killed elsewhere."""
    file = write_study(folder, TWIN, folder / CORPUS, "local", changes)
    commands: list[tuple[str, ...]] = [("create", str(file))]
    for (verb, *options), _ in growth:
        commands += [(verb, TWIN, *options), ("run", TWIN)]
    where = ("--home", str(folder / TWIN))
    return subprocess.Popen(
        [sys.executable, "-c", IN_ONE_PROCESS, json.dumps([[*c, *where] for c in commands])],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def read_undisturbed(folder: Path) -> Store:
    """What results should be."""
    return read_optuna(journal(Home(folder / TWIN)), TWIN)
