"""Why trials failed is said wherever the study is looked at."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from proxytune.home import Home
from proxytune.records.tags import REASON
from tests.commands import TINY, proxytune, write_yaml

pytestmark = pytest.mark.slow
TOO_LARGE: dict[str, Any] = TINY | {"proxy": TINY["proxy"] | {"vocab_size": 10**11}}
WHY = "does not fit into memory ("


@pytest.fixture(scope="module")
def failed(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with a study whose trials have all failed, and what was said on the way."""
    folder = tmp_path_factory.mktemp("failed")
    file = write_yaml(folder / "tiny.yaml", TOO_LARGE | {"data": {"text": str(text_file)}})
    done = proxytune("study", "create", file, "--home", folder / "home")
    assert done.exit_code == 1
    return folder / "home", done.stderr


def test_on_the_way_each_reason_is_said_once_and_at_the_end_how_to_go_on(
    failed: tuple[Path, str],
) -> None:
    warnings = [line for line in failed[1].splitlines() if line.startswith("Warning: ")]
    assert [line.partition(WHY)[0] for line in warnings] == ["Warning: trial 0 failed: "]
    (error,) = [line for line in failed[1].splitlines() if line.startswith("Error: ")]
    assert "no trial has a finite loss" in error
    assert WHY in error
    assert "proxytune study extend tiny" in error


def test_the_reason_is_in_every_store(failed: tuple[Path, str]) -> None:
    home = Home(failed[0].absolute())
    shown = json.loads(proxytune("study", "show", "tiny", "--json", "--home", failed[0]).stdout)
    assert all(WHY in trial["reason"] for trial in shown["trials"])
    (part,) = home.parquet.glob("trials/study=tiny/*.parquet")
    rows = pq.ParquetFile(part).read(columns=["state", "reason"]).to_pylist()
    assert all(row["state"] == "failed" and WHY in row["reason"] for row in rows)
    client = MlflowClient(home.mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`proxytune.state` = 'failed'")
    assert len(runs) == len(rows) == 4
    assert all(WHY in run.data.tags[REASON] for run in runs)
