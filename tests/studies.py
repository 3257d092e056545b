"""Small studies, trained by formula."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage

from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.packs.ports import PackSource
from proxytune.search.source import Progress, SearchSource
from proxytune.search.study import Study
from proxytune.testing.bowls import SHAPE, bowl, evaluation
from proxytune.testing.packs import TRAINING

SPACE = {
    "learning_rate": {"low": 1e-3, "high": 0.1, "log": True},
    "weight_decay": {"low": 0.0, "high": 0.5},
    "beta2": {"choices": [0.9, 0.95, 0.99]},
}
STEPS = TRAINING.evaluation_steps()
FIRST, LAST = STEPS[0], STEPS[-1]


def study_spec(name: str = "small", seed: int = 5, **search: Any) -> StudySpec:
    """A study of 8 trials in packs of 4, where not said otherwise."""
    return StudySpec.model_validate(
        {
            "name": name,
            "proxy": SHAPE,
            "training": TRAINING,
            "search": {"space": SPACE, "trials": 8, "pack_size": 4, **search},
            "seed": seed,
        }
    )


def in_memory() -> BaseStorage:
    """A storage for one test."""
    return optuna.storages.InMemoryStorage()


class Observed:
    """What a source tells its observer."""

    def __init__(self) -> None:
        self.told: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)


def source_of(
    storage: BaseStorage,
    spec: StudySpec,
    observe: Observed | None = None,
    checkpoints: Path = Path("packs"),
) -> SearchSource:
    """The study's source, as a process has it that has just started."""
    study = Study.create(storage, spec)
    return study.source(Path("tokens"), checkpoints, observe or Observed())


def told(pack: PackSpec, step: int) -> list[Evaluation]:
    """All members of a pack at one evaluation."""
    return [evaluation(m.number, step, loss_of(pack, m.number, step)) for m in pack.members]


def loss_of(pack: PackSpec, number: int, step: int) -> float:
    """A member's loss by formula."""
    (member,) = (m for m in pack.members if m.number == number)
    return bowl(member.hyperparameters.learning_rate, step)


def next_pack(source: PackSource) -> PackSpec:
    """A pack that must be there."""
    pack = source.next_pack()
    assert pack is not None
    return pack


def train(source: PackSource, pack: PackSpec, steps: Sequence[int] = STEPS) -> None:
    """Takes a pack through evaluations, and finishes it if the last is among them."""
    out: set[int] = set()
    for step in steps:
        out |= source.report(pack, [e for e in told(pack, step) if e.number not in out])
    if LAST in steps:
        source.finish(pack, ())


def train_all(source: PackSource) -> list[PackSpec]:
    """Trains until the source has no packs left; returns them."""
    packs = []
    while (pack := source.next_pack()) is not None:
        train(source, pack)
        packs.append(pack)
    return packs
