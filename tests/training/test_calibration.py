"""Calibration trains for real, and ends."""

import pytest

from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.plan.pack_size import pack_size
from proxytune.testing.packs import TRAINING
from proxytune.training import calibration
from proxytune.training.calibration import calibrate, pack_memory


@pytest.mark.slow
def test_a_calibration_measures_time_and_memory_of_ever_larger_packs(shape: Shape) -> None:
    found = calibrate(shape, TRAINING, ExecutionSpec())
    sizes = [speed.members for speed in found.speeds]
    assert sizes == [2**n for n in range(len(sizes))] != []
    assert found.too_large is None
    assert 1 <= pack_size(found, 8, 1, learns=True) <= 4


def test_a_shape_that_does_not_fit_has_no_speed(shape: Shape) -> None:
    found = calibrate(shape.at(vocab_size=10**13), TRAINING, ExecutionSpec())
    assert (found.speeds, found.too_large) == ((), 1)
    assert pack_size(found, 8, 1, learns=True) == 1


def test_a_step_slower_than_the_budget_is_measured_once(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SECONDS", {"cpu": 0.0, "cuda": 0.0})
    (speed,) = calibrate(shape, TRAINING, ExecutionSpec()).speeds
    assert speed.members == 1
    assert speed.seconds > 0


def test_cores_share_the_memory() -> None:
    one, all_of_them = (pack_memory(ExecutionSpec(cpus_per_pack=n)) for n in (1, 10**6))
    assert 0 < one <= all_of_them
