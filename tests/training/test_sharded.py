"""A pack that two processes train, its parameters sharded, is the pack that one process trains."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from proxytune.config.shape import Shape
from proxytune.packs.pack import Job, PackSpec
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.testing.runner import plain
from proxytune.training.pack import PackTrainer, start_pack
from tests.torchrun import torchrun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VARIED = (
    hyperparameters(0.01, weight_decay=0.3, beta1=0.8, output_multiplier=0.01),
    hyperparameters(0.05, init_std=0.3, eps=1e-4, embedding_multiplier=2.0),
    hyperparameters(0.02, beta2=0.99, residual_multiplier=0.5, attention_multiplier=3.0),
)
"""The first is never clipped, the last often."""
# Five sequences: the processes' shares of a batch are not the same.
UNEVEN = TRAINING.model_copy(update={"batch_size": 5})


def of(shape: Shape, tokens: Path, checkpoint: Path | None, processes: int = 1) -> PackSpec:
    """The pack of these tests, with all that a check asks for."""
    made = pack(shape, tokens, members(*VARIED), UNEVEN, checkpoint)
    job = Job(workers=processes, activation_checkpointing=processes > 1)
    return made.model_copy(update={"details": True, "job": job})


def sharded(spec: PackSpec, folder: Path, dropped: str = "") -> dict[str, Any]:
    """What two processes told of a pack, each the same."""
    folder.mkdir()
    (folder / "pack.json").write_text(spec.model_dump_json())
    torchrun("tests.training.sharded", folder / "pack.json", dropped, folder)
    one, other = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    return dict(one)


def alone(trainer: PackTrainer, dropped: tuple[int, ...] = ()) -> dict[str, Any]:
    """What this process told of a pack."""
    told = plain(trainer.advance())
    while not trainer.done:
        trainer.drop(dropped)
        told += plain(trainer.advance())
    return {"told": told, "details": [d.model_dump() for d in trainer.details()]}


def assert_same(one: object, other: object) -> None:
    """The same, numbers to 1e-5."""
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert set(one) == set(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other)
        for ours, theirs in zip(one, other, strict=True):
            assert_same(ours, theirs)
    else:
        assert one == (pytest.approx(other, rel=1e-5) if isinstance(other, float) else other)


def test_two_processes_train_a_pack_as_one_does(
    shape: Shape, tokens: Path, tmp_path: Path
) -> None:
    shape = shape.at(qk_norm=True, tied=True, vocab_size=257)
    whole = alone(start_pack(of(shape, tokens, None)), dropped=(1,))
    clipped = {of_member["number"]: of_member["clipped_steps"] for of_member in whole["details"]}
    assert clipped[0] == 0 < clipped[1] < clipped[2]
    assert_same(sharded(of(shape, tokens, None, 2), tmp_path / "two", dropped="1"), whole)


def test_a_pack_moves_between_one_process_and_two(
    shape: Shape, tokens: Path, tmp_path: Path
) -> None:
    whole = alone(start_pack(of(shape, tokens, None)))
    checkpoint = tmp_path / "pack.pt"
    start_pack(of(shape, tokens, checkpoint)).advance()
    shutil.copy(checkpoint, tmp_path / "first.pt")
    two = of(shape, tokens, checkpoint, 2)
    assert_same(sharded(two, tmp_path / "two"), whole)
    # At its end, and there it is the state of one process again.
    assert_same(alone(start_pack(of(shape, tokens, checkpoint))), whole)
    shutil.move(tmp_path / "first.pt", checkpoint)
    over = two.model_copy(update={"job": two.job.model_copy(update={"deadline": 0.0})})
    ended = sharded(over, tmp_path / "over")
    assert "after step 4 of 12" in ended["interrupted"]
    assert_same(alone(start_pack(of(shape, tokens, checkpoint))), whole)
