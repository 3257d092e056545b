"""The outcome of a study in MLflow: there at the end, added by sync, and written once."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from proxytune.errors import StorageLost
from proxytune.home import Home
from proxytune.records.tags import CHOSEN, KIND, OUTCOME
from proxytune.search.study import Study
from proxytune.workflows import study_run
from proxytune.workflows.workspace import Workspace
from tests.commands import TINY, proxytune, write_yaml


def runs(home: Path, kind: str) -> list[Run]:
    client = MlflowClient(tracking_uri=Home(home.absolute()).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = '{kind}'"))


def test_a_complete_study_has_its_outcome_its_page_and_its_winner_in_mlflow(home: Path) -> None:
    selection = Workspace(home).study("tiny").selection
    assert selection is not None
    (parent,) = runs(home, "study")
    assert parent.data.metrics["chosen_validation_loss"] == selection.validation_loss
    assert parent.data.tags[MLFLOW_RUN_NOTE].startswith("**Train with learning_rate ")
    client = MlflowClient(tracking_uri=Home(home.absolute()).mlflow_uri)
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"report.html", "study.json"}
    confirmed = [loss for candidate in selection.candidates for loss in candidate.confirmed]
    assert len(runs(home, "confirmation")) == len(confirmed) > 0
    chosen = [run for kind in ("trial", "confirmation") for run in runs(home, kind)]
    assert any(CHOSEN in run.data.tags for run in chosen)


def test_sync_adds_an_outcome_that_is_missing_and_leaves_one_that_is_there(own_home: Path) -> None:
    client = MlflowClient(tracking_uri=Home(own_home.absolute()).mlflow_uri)
    (parent,) = runs(own_home, "study")
    before = {run.info.run_id for run in runs(own_home, "confirmation")}
    proxytune("study", "sync", "tiny", "--home", own_home)
    assert {run.info.run_id for run in runs(own_home, "confirmation")} == before
    client.delete_tag(parent.info.run_id, OUTCOME)
    for run in before:
        client.delete_run(run)
    proxytune("study", "sync", "tiny", "--home", own_home)
    assert len(runs(own_home, "confirmation")) == len(before)
    (parent,) = runs(own_home, "study")
    assert OUTCOME in parent.data.tags
    assert not (own_home / "pages").exists()


def test_an_outcome_is_recorded_though_the_storage_was_lost_meanwhile(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, lost = study_run.record_outcome, [StorageLost("the storage cannot be used")]

    def lose_it_once(workspace: Workspace, study: Study) -> None:
        if lost:
            raise lost.pop()
        record(workspace, study)

    monkeypatch.setattr(study_run, "record_outcome", lose_it_once)
    study = write_yaml(tmp_path / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})
    created = proxytune("study", "create", study, "--home", tmp_path / "home")
    assert "the storage cannot be used; trying again" in created.output
    (parent,) = runs(tmp_path / "home", "study")
    assert OUTCOME in parent.data.tags
