"""Laws of packs in bfloat16, with the tolerances that rounding to 8 bits needs."""

from pathlib import Path

import pytest
import torch

from proxytune.config.shape import Shape
from proxytune.packs.pack import PackSpec
from proxytune.testing.packs import hyperparameters, members, pack
from proxytune.training.pack import start_pack
from tests.training.packs import train, validation_losses

RATES = [hyperparameters(rate) for rate in (0.005, 0.01, 0.02)]
CLOSE = 2e-3
"""Relative. A step rounds its products to 1/256, and losses are means over many of them."""


@pytest.fixture
def spec(shape: Shape, tokens: Path) -> PackSpec:
    return reduced(pack(shape.at(qk_norm=True), tokens, members(*RATES)))


def reduced(spec: PackSpec) -> PackSpec:
    training = spec.training.model_copy(update={"precision": "bfloat16"})
    return spec.model_copy(update={"training": training})


def test_it_rounds_and_ends_near_float32(spec: PackSpec) -> None:
    whole = spec.training.model_copy(update={"precision": "float32"})
    exact = train(start_pack(spec.model_copy(update={"training": whole})))
    rounded = train(start_pack(spec))
    for number in range(3):
        assert validation_losses(rounded, number) != validation_losses(exact, number)
        assert validation_losses(rounded, number) == pytest.approx(
            validation_losses(exact, number), rel=CLOSE
        )


def test_weights_and_moments_are_float32(spec: PackSpec) -> None:
    trainer = start_pack(spec)
    trainer.advance()
    state = trainer._state()
    held = [*state.weights.values(), *(m for group in state.moments for m in group.values())]
    assert {tensor.dtype for tensor in held} == {torch.float32}


def test_the_same_spec_gives_the_same_bits(spec: PackSpec) -> None:
    once, again = (train(start_pack(spec)) for _ in range(2))
    assert [validation_losses(once, n) for n in range(3)] == [
        validation_losses(again, n) for n in range(3)
    ]


def test_a_member_trains_in_a_pack_as_it_does_alone(spec: PackSpec) -> None:
    together = train(start_pack(spec))
    for member in spec.members:
        alone = train(start_pack(spec.model_copy(update={"members": (member,)})))
        assert validation_losses(together, member.number) == pytest.approx(
            validation_losses(alone, member.number), rel=CLOSE
        )


def test_a_pack_goes_on_from_its_checkpoint(spec: PackSpec, tmp_path: Path) -> None:
    undisturbed = train(start_pack(spec))
    kept = spec.model_copy(update={"checkpoint": tmp_path / "pack.pt"})
    start_pack(kept).advance()
    resumed = train(start_pack(kept))
    for number in range(3):
        assert validation_losses(resumed, number) == validation_losses(undisturbed, number)


def test_dropping_members_leaves_the_others_as_they_were(spec: PackSpec) -> None:
    undisturbed = train(start_pack(spec))
    trainer = start_pack(spec)
    evaluations = list(trainer.advance())
    trainer.drop([0, 2])
    evaluations += train(trainer)
    assert validation_losses(evaluations, 1) == pytest.approx(
        validation_losses(undisturbed, 1), rel=CLOSE
    )
