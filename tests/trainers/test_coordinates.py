"""The coordinate check through a user's own trainer, by the updates that it reports."""

from pathlib import Path
from typing import Any

import pytest

from proxytune.errors import RunError
from proxytune.workflows.coordinates import run_coordinates
from proxytune.workflows.workspace import Workspace
from tests.commands import TINY


def document(folder: Path, updates: str) -> dict[str, Any]:
    """A check along the width by a shell script that reports these updates of `hidden`."""
    (folder / "train.sh").write_text(
        f"""
wide=$(sed -n 's/.*"d_model": \\([0-9]*\\),.*/\\1/p' "$PROXYTUNE_SETTINGS" | head -1)
printf '{{"step": 3, "validation_loss": 2.5, "updates": %s}}' "{updates}" >> "$PROXYTUNE_METRICS"
"""
    )
    return {
        "proxy": TINY["proxy"],
        "axis": "width",
        "values": [1, 2],
        "parameterizations": ["gqa-mup"],
        "steps": 3,
        "seeds": 2,
        "trainer": {"command": ["sh", "train.sh"], "folder": str(folder)},
    }


@pytest.mark.parametrize(
    ("size", "slope"), [("0.25", 0.0), ("$(echo $wide | awk '{print $1 / 100}')", 1.0)]
)
def test_updates_that_stay_the_same_pass_and_others_fail(
    tmp_path: Path, size: str, slope: float
) -> None:
    check = document(tmp_path, f'{{\\"hidden\\": {size}}}')
    report = run_coordinates(check, Workspace(tmp_path / "home"))
    (quantities,) = (roles["hidden"] for roles in report.slopes.values())
    (found,) = quantities.values()
    assert found.slope == pytest.approx(slope)
    assert report.passed == (slope == 0)


@pytest.mark.parametrize("updates", ["{}", '{\\"layers\\": 0.25}'])
def test_a_trainer_without_updates_by_role_is_told_what_is_needed(
    tmp_path: Path, updates: str
) -> None:
    with pytest.raises(RunError, match="needs updates, by role"):
        run_coordinates(document(tmp_path, updates), Workspace(tmp_path / "home"))
