"""The study that is disturbed, and its twin that is not."""

import subprocess
from pathlib import Path

import yaml

from proxytune.home import Home
from tests.commands import COMMAND, ENVIRONMENT, journal
from tests.faults.rows import Store, read_optuna

TRIALS = 12
CORPUS, TWIN = "text.txt", "undisturbed"
STUDY = {
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
    "selection": {"top": 2, "seeds": 2},
}


def write_study(folder: Path, name: str, text: Path, executor: str) -> Path:
    """The study's file."""
    spec = STUDY | {
        "name": name,
        "data": {"text": str(text)},
        "execution": {"executor": executor},
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def start_undisturbed(folder: Path) -> "subprocess.Popen[bytes]":
    """Runs the twin in one process, on a journal: without all that is killed elsewhere."""
    file = write_study(folder, TWIN, folder / CORPUS, executor="local")
    return subprocess.Popen(
        [*COMMAND, "study", "create", str(file), "--home", str(folder / TWIN)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def read_undisturbed(folder: Path) -> Store:
    """What results should be."""
    return read_optuna(journal(Home(folder / TWIN)), TWIN)
