"""A study of a tied proxy trains with its defaults, and carries over to a tied target."""

import json
import math
from pathlib import Path
from typing import Any

import polars
import pytest

from tests.commands import proxytune, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TIED: dict[str, Any] = {"n_layers": 2, "seq_len": 32, "tied": True}
STUDY: dict[str, Any] = {
    "name": "tied",
    "proxy": TIED | {"d_model": 128, "n_heads": 8, "n_kv_heads": 4},
    # Once at the end: in the first steps, the widths differ by less than the seeds do.
    "training": {"steps": 50, "batch_size": 8, "evaluations": 1},
    "search": {
        "trials": 2,
        "pack_size": 2,
        "space": {"learning_rate": {"low": 0.01, "high": 0.02}},
    },
    "selection": {"top": 1, "seeds": 1},
    "execution": {"executor": "local"},
}
TARGET: dict[str, Any] = {
    "name": "wide",
    "shape": TIED | {"d_model": 256, "n_heads": 16, "n_kv_heads": 8},
}


def test_a_tied_study_starts_at_a_guess_and_passes_the_check_of_a_tied_target(
    tmp_path: Path,
) -> None:
    home, study = tmp_path / "home", write_yaml(tmp_path / "tied.yaml", STUDY)
    created = proxytune("study", "create", study, "--json", "--home", home)
    trials = json.loads(created.stdout)["trials"]
    assert [trial["state"] for trial in trials] == ["complete"] * 2
    starts = polars.read_parquet(home / "parquet/curves/**/*.parquet")["first_loss"]
    assert starts.drop_nulls().to_list() == pytest.approx([math.log(256)] * 2, abs=0.5)

    target = write_yaml(tmp_path / "wide.yaml", TARGET)
    result = proxytune("transfer", "--target", target, "--json", "--home", home)
    report = json.loads(result.stdout)
    assert (result.exit_code, report["check"]["verdict"]) == (0, "pass"), report["check"]
    assert report["check"]["warnings"] == []
    assert "unembedding" not in report["roles"]
    assert report["roles"]["embedding"]["weight_decay"] > 0
