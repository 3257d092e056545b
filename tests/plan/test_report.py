"""Laws of a suggested study as a user would write it."""

from pathlib import Path
from typing import Any

import pytest

from proxytune.config.load import load_study, validate
from proxytune.config.study import StudySpec
from proxytune.plan.report import as_written
from tests.commands import TINY

STUDIES = Path(__file__).parents[2] / "studies"
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "hyperparameters": {"hyperparameters": {"weight_decay": 0.5}},
    "an init that is not the base's": {"hyperparameters": {"init_std": 0.5}},
    "a base": {"base": {"d_model": 64, "n_layers": 1, "n_heads": 4}},
}


@pytest.mark.parametrize("changes", CHANGES)
def test_what_is_written_is_read_as_the_same_study(changes: str) -> None:
    study = validate(StudySpec, {"name": "tiny"} | TINY | CHANGES[changes], "a test")
    assert validate(StudySpec, as_written(study), "written") == study


def test_defaults_are_not_written() -> None:
    written = as_written(load_study(STUDIES / "quickstart.yaml"))
    assert "execution" not in written
    assert "hyperparameters" not in written
    assert "sampler" not in str(written)
