"""Trainers of a few lines, and packs of one for them."""

import sys
from pathlib import Path

from proxytune.config.shape import Shape
from proxytune.config.trainer import TrainerSpec
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.trainers.command import CommandRunner, CommandTrainer

SHAPE = Shape(d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, seq_len=16)
STEPS = TRAINING.evaluation_steps()
FIRST, LAST = STEPS[0], STEPS[-1]

TELL = """
tell() { printf '{"step": %s, "validation_loss": %s}\\n' "$1" "$2" >> "$PROXYTUNE_METRICS"; }
"""
GOOD = TELL + "".join(f"tell {step} 2.{100 - step}\n" for step in STEPS)
"""Evaluates at every evaluation step, and ends."""


def trainer(place: Path, *command: str, **fields: object) -> CommandTrainer:
    """A trainer with this command."""
    spec = TrainerSpec.model_validate({"command": command, "folder": str(place)} | fields)
    return CommandTrainer(
        study="study", trainer=spec, data={"text": None}, gpus=None, runs=place / "runs"
    )


def shell(folder: Path, script: str, **fields: object) -> CommandTrainer:
    """A trainer that is a shell script."""
    (folder / "train.sh").write_text(script)
    return trainer(folder, "sh", "train.sh", **fields)


def python(folder: Path, script: str, **fields: object) -> CommandTrainer:
    """A trainer that is a Python script, in a Python that knows nothing of proxytune."""
    (folder / "train.py").write_text(script)
    return trainer(folder, sys.executable, "-I", "train.py", **fields)


def pack_of_one(folder: Path, learning_rate: float = 0.02, **changes: object) -> PackSpec:
    """A pack for a trainer."""
    made = pack(SHAPE, folder / "tokens", members(hyperparameters(learning_rate)))
    return made.model_copy(update=changes)


def run_folder(folder: Path) -> Path:
    """Where the pack of that folder is trained."""
    return folder / "runs" / "pack"


def told_by(runner: CommandRunner) -> list[Evaluation]:
    """What a runner tells until it is done."""
    told: list[Evaluation] = []
    while not runner.done:
        told += runner.advance()
    return told
