"""Stores that were away, or that lost something, are given what they lack."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from proxytune.home import Home
from proxytune.patience import Patience
from tests.commands import proxytune, values_in_stores
from tests.servers import free_port

pytestmark = pytest.mark.slow


def synced(home: Path, *where: str) -> dict[str, tuple[int, int]]:
    """What `study sync --json` tells: sink -> trials there, trials added."""
    result = proxytune("study", "sync", "tiny", "--json", "--home", home, *where)
    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, document["study"]) == (
        0,
        "recording trials\n",
        "tiny",
    )
    return {
        sink["sink"].partition(" ")[0]: (sink["trials"], sink["added"])
        for sink in document["sinks"]
    }


def lose_part(home: Path) -> None:
    (home / "parquet" / "trials" / "study=tiny" / "part-00000.parquet").unlink()


def lose_parquet(home: Path) -> None:
    shutil.rmtree(home / "parquet")


def lose_experiment(home: Path) -> None:
    client = MlflowClient(tracking_uri=Home(home.absolute()).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    client.rename_experiment(experiment.experiment_id, "lost")
    client.delete_experiment(experiment.experiment_id)


def lose_run(home: Path) -> None:
    client = MlflowClient(tracking_uri=Home(home.absolute()).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    of_trial = "tags.`proxytune.kind` = 'trial' and tags.`proxytune.trial` = '2'"
    (run,) = client.search_runs([experiment.experiment_id], of_trial)
    client.delete_run(run.info.run_id)


@pytest.mark.parametrize(
    ("lose", "added"),
    [
        (lose_part, {"Parquet": 4, "MLflow": 0}),
        (lose_parquet, {"Parquet": 4, "MLflow": 0}),
        (lose_experiment, {"Parquet": 0, "MLflow": 4}),
        (lose_run, {"Parquet": 0, "MLflow": 1}),
    ],
)
def test_what_a_store_lost_is_there_again_once(own_home: Path, lose: Any, added: Any) -> None:
    before = values_in_stores(own_home, "tiny")
    lose(own_home)
    assert synced(own_home) == {sink: (4, count) for sink, count in added.items()}
    assert values_in_stores(own_home, "tiny") == before
    assert synced(own_home) == dict.fromkeys(added, (4, 0))
    assert values_in_stores(own_home, "tiny") == before


def test_syncing_tells_what_each_store_has(own_home: Path) -> None:
    lose_part(own_home)
    result = proxytune("study", "sync", "tiny", "--home", own_home)
    assert result.exit_code == 0
    parquet, mlflow = result.stdout.splitlines()
    assert parquet == f"Parquet in {own_home / 'parquet'}: 4 trials, 4 of them added"
    assert mlflow.endswith("mlflow.db: 4 trials, 0 of them added")


IMPATIENT = Patience(sink=1.0)


@pytest.fixture
def without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("without_retries")
def test_a_study_whose_mlflow_is_away_ends_well_with_one_notice(
    study_file: Path, tmp_path: Path
) -> None:
    home, away = tmp_path / "home", f"http://127.0.0.1:{free_port()}"
    where = ("--home", home, "--tracking-uri", away)
    result = proxytune("study", "create", study_file, "--json", *where, patience=IMPATIENT)
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (0, "complete")
    told = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert told[-1] == (
        f"Warning: MLflow at {away} has 0 of 4 trials; "
        "deliver the rest with: proxytune study sync tiny"
    )
    # While it trains, at most once.
    assert (
        len([line for line in told[:-1] if line.endswith("; training goes on")]) == len(told) - 1
    )
    assert len(told) <= 2
    failed = proxytune("study", "sync", "tiny", *where)
    assert failed.exit_code == 1
    assert f"MLflow at {away} failed: " in failed.stderr
    # It comes back: here as another store, which has none of it either.
    assert synced(home) == {"Parquet": (4, 0), "MLflow": (4, 4)}
    stores = values_in_stores(home, "tiny")
    assert stores["optuna"] == stores["mlflow"] == stores["parquet"]


@pytest.mark.usefixtures("without_retries")
def test_a_study_whose_parquet_cannot_be_written_is_complete_and_fails(
    study_file: Path, tmp_path: Path
) -> None:
    # MLflow is away, since it might be still at work on its store when it is given another second.
    home, away = tmp_path / "home", f"http://127.0.0.1:{free_port()}"
    home.mkdir()
    (home / "parquet").write_text("in the way")
    where = ("--home", home, "--tracking-uri", away)
    result = proxytune("study", "create", study_file, *where, patience=IMPATIENT)
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith(f"Error: {home / 'parquet' / 'trials' / 'study=tiny'}: cannot be wri")
    assert error.endswith("has 0 of 4 trials; deliver the rest with: proxytune study sync tiny")
    shown = json.loads(proxytune("study", "show", "tiny", "--json", "--home", home).stdout)
    assert shown["state"] == "complete"
    (home / "parquet").unlink()
    assert synced(home) == {"Parquet": (4, 4), "MLflow": (4, 4)}
    stores = values_in_stores(home, "tiny")
    assert stores["optuna"] == stores["mlflow"] == stores["parquet"]


@pytest.mark.usefixtures("without_retries")
def test_a_transfer_whose_mlflow_is_away_keeps_its_result_with_one_notice(
    own_home: Path, target_file: Path
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    where = ("--home", own_home, "--tracking-uri", away)
    result = proxytune("transfer", "--target", target_file, "--json", *where)
    document = json.loads(result.stdout)
    assert result.exit_code == {"pass": 0, "fail": 1}[document["check"]["verdict"]]
    *told, notice = result.stderr.splitlines()
    assert {line.split(":")[0] for line in told} == {"check", "writing the report"}
    assert notice.startswith(f"Warning: MLflow at {away} failed: ")
    assert notice.endswith("; the result is in its files, but not in MLflow")
    folder = own_home / "transfers" / "tiny" / "wide"
    assert json.loads((folder / "projection.json").read_text()) == document
    assert (folder / "check.png").exists()
