"""Step Law, as its paper has it, and where it is told."""

import math

import pytest

from proxytune.config.horizon import RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.report import projection_report
from proxytune.scaling.runs import Runs
from proxytune.scaling.step_law import StepLaw

SHAPE = Shape(d_model=2048, n_layers=16, n_heads=16, n_kv_heads=16, d_ff=8192)


def test_its_numbers_are_those_of_the_paper() -> None:
    law = StepLaw.of(SHAPE, 1e11)
    assert law.parameters == 16 * (4 * 2048**2 + 3 * 2048 * 8192) + 33 * 2048
    n, d = math.log10(law.parameters), 11
    assert math.log10(law.learning_rate) == pytest.approx(math.log10(1.79) - 0.713 * n + 0.307 * d)
    assert math.log10(law.batch) == pytest.approx(math.log10(0.58) + 0.571 * d)


def test_a_vocabulary_changes_nothing() -> None:
    assert StepLaw.of(SHAPE.at(vocab_size=128_256), 1e11) == StepLaw.of(SHAPE, 1e11)


def test_it_is_told_of_a_target_whose_tokens_are_known() -> None:
    def law(tokens: float | None) -> StepLaw | None:
        runs = Runs(
            proxy=RunLength.of(seq_len=64, steps=200, batch_size=16),
            target=RunLength.of(seq_len=2048, tokens=tokens),
            spec=None,
        )
        settings, proxy = BaseHyperparameters(), SHAPE.at(d_model=256)
        return projection_report(settings, proxy, SHAPE, Parameterization(), runs=runs).step_law

    assert law(None) is None
    assert law(1e11) == StepLaw.of(SHAPE, 1e11)
