"""Trains packs to their ends, for tests."""

from collections.abc import Sequence

from proxytune.packs.pack import Evaluation
from proxytune.training.pack import PackTrainer


def train(trainer: PackTrainer) -> list[Evaluation]:
    """The evaluations of all members until the pack is done."""
    evaluations: list[Evaluation] = []
    while not trainer.done:
        evaluations += trainer.advance()
    return evaluations


def validation_losses(evaluations: Sequence[Evaluation], number: int) -> list[float | None]:
    """A member's, by evaluation."""
    return [e.validation_loss for e in evaluations if e.number == number]
