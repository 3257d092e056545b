"""A calibration is kept in home, and measured again where what is kept cannot be read."""

from pathlib import Path

import pytest

from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.testing.packs import TRAINING
from proxytune.training import calibration
from proxytune.workflows.calibration import calibration_of, kept


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "SECONDS", {"cpu": 0.0, "cuda": 0.0})


def test_what_was_measured_is_kept(shape: Shape, tmp_path: Path) -> None:
    place = tmp_path, shape, TRAINING, ExecutionSpec()
    assert kept(*place) is None
    measured = calibration_of(*place)
    found = kept(*place)
    assert found is not None
    assert found.speeds == measured.speeds != ()
    assert calibration_of(*place).speeds == measured.speeds


@pytest.mark.parametrize("contents", ['{"speeds": "of another version"}', "torn", "[]", ""])
def test_a_measurement_that_cannot_be_read_is_made_again(
    shape: Shape, tmp_path: Path, contents: str
) -> None:
    place = tmp_path, shape, TRAINING, ExecutionSpec()
    before = calibration_of(*place)
    (file,) = tmp_path.iterdir()
    file.write_text(contents)
    assert kept(*place) is None
    again, found = calibration_of(*place), kept(*place)
    assert found is not None
    assert found.speeds == again.speeds != before.speeds
