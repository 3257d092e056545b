"""Packs on a GPU: the losses of a CPU, the laws of packs, and no waiting between evaluations."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from proxytune.config.shape import Shape
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.training.pack import start_pack
from tests.training.packs import train, validation_losses

pytestmark = pytest.mark.gpu

RATES = [hyperparameters(rate) for rate in (0.005, 0.01, 0.02)]
CLOSE = 1e-4
"""Relative. Other kernels sum in another order, over a dozen steps."""


@pytest.fixture
def spec(shape: Shape, tokens: Path) -> PackSpec:
    return pack(shape, tokens, members(*RATES))


@pytest.fixture
def on_cpu(spec: PackSpec) -> list[Evaluation]:
    """The evaluations of a trainer that sees no GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        return train(start_pack(spec))


def assert_close(one: Sequence[Evaluation], other: Sequence[Evaluation], number: int) -> None:
    losses = validation_losses(other, number)
    assert losses
    assert validation_losses(one, number) == pytest.approx(losses, rel=CLOSE)


@pytest.mark.parametrize("compiled", [False, True])
def test_it_trains_as_a_cpu_does(spec: PackSpec, on_cpu: list[Evaluation], compiled: bool) -> None:
    trainer = start_pack(spec.model_copy(update={"compiled": compiled}))
    assert {param.device.type for param in trainer.model.parameters()} == {"cuda"}
    evaluations = train(trainer)
    for number in range(len(RATES)):
        assert_close(evaluations, on_cpu, number)


def test_a_member_trains_in_a_pack_as_it_does_alone(spec: PackSpec) -> None:
    together = train(start_pack(spec))
    for member in spec.members:
        alone = train(start_pack(spec.model_copy(update={"members": (member,)})))
        assert_close(alone, together, member.number)


def test_a_pack_begun_on_a_gpu_goes_on_on_a_cpu(
    spec: PackSpec, on_cpu: list[Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = spec.model_copy(update={"checkpoint": tmp_path / "pack.pt"})
    start_pack(kept).advance()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    resumed = train(start_pack(kept))
    for number in range(len(RATES)):
        assert_close(resumed, on_cpu, number)


def test_a_longer_way_to_an_evaluation_waits_no_more_often(spec: PackSpec) -> None:
    """By CUDA's own count; tests/training/test_host_reads.py has one that needs no GPU."""

    def waits(steps: int) -> int:
        training = TRAINING.model_copy(update={"steps": steps, "evaluations": 1})
        trainer = start_pack(spec.model_copy(update={"training": training}))
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                trainer.advance()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return len(caught)

    # Batches are sent in blocks of 32 steps: both ways have one.
    assert waits(30) == waits(4) > 0
