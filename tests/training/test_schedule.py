"""Laws of the schedule: it rises to 1, falls to the final fraction, and never jumps."""

import itertools

import pytest

from proxytune.config.training import TrainingSpec
from proxytune.training.schedule import lr_factor


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_rises_to_one_and_falls_to_the_final_fraction(schedule: str, warmup: float) -> None:
    training = TrainingSpec.model_validate(
        {"steps": 200, "schedule": schedule, "final_lr_fraction": 0.1}
    )
    factors = [lr_factor(training, warmup, step) for step in range(200)]
    peak = round(warmup * 200)
    rising, falling = factors[:peak], factors[peak:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert max(factors) == pytest.approx(1.0, abs=0.02)
    assert factors[-1] == pytest.approx(0.1)
    assert min(factors) > 0
    steepest = max(abs(a - b) for a, b in itertools.pairwise(factors))
    assert steepest < 0.06


def test_wsd_is_stable_until_its_decay() -> None:
    training = TrainingSpec(steps=100, schedule="wsd", decay_fraction=0.2)
    assert {lr_factor(training, 0.1, step) for step in range(10, 80)} == {1.0}
    assert lr_factor(training, 0.1, 80) < 1.0
