"""What can be done with a study that has run."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import polars
import pytest
from mlflow import MlflowClient

from proxytune.errors import InputError, RunError
from proxytune.search.source import Progress
from proxytune.search.study import SPEC, Study
from proxytune.storage.lease import LEASE, Holder, Lease
from proxytune.workflows.studies import create_study, sync_study
from proxytune.workflows.study_run import StudyRun
from proxytune.workflows.workspace import Workspace
from tests.commands import TARGET, proxytune, values_in_stores, write_yaml

pytestmark = pytest.mark.slow


def test_all_stores_hold_the_same_trials(home: Path) -> None:
    shown = json.loads(proxytune("study", "show", "tiny", "--json", "--home", home).stdout)
    values = {trial["number"]: trial["value"] for trial in shown["trials"]}
    assert sorted(values) == [0, 1, 2, 3]
    assert values_in_stores(home, "tiny") == dict.fromkeys(("optuna", "mlflow", "parquet"), values)


def test_the_list_names_every_study(home: Path) -> None:
    (study,) = json.loads(proxytune("study", "list", "--json", "--home", home).stdout)
    assert (study["study"], study["state"]) == ("tiny", "complete")
    assert (study["trials"], study["finished"]) == (4, 4)
    assert "tiny" in proxytune("study", "list", "--home", home).stdout


def test_the_list_leaves_out_with_a_warning_what_a_newer_program_made(own_home: Path) -> None:
    storage = Workspace(own_home).optuna
    spec = Study(storage, "tiny").spec.model_dump(mode="json")
    newer = optuna.create_study(study_name="later", storage=storage)
    newer.set_user_attr(SPEC, json.dumps(spec | {"name": "later", "schema_version": 99}))
    listed = proxytune("study", "list", "--json", "--home", own_home)
    assert listed.exit_code == 0
    assert [study["study"] for study in json.loads(listed.stdout)] == ["tiny"]
    (warning,) = listed.stderr.splitlines()
    assert warning.startswith("Warning: study 'later': schema_version = 99: is newer than")


def test_a_study_is_shown_best_trial_first(home: Path) -> None:
    lines = proxytune("study", "show", "tiny", "--home", home).stdout.splitlines()
    rows = [line.split() for line in lines if " complete " in line]
    # The chosen one may have a mark before its number.
    losses = [float(row[row.index("complete") + 1]) for row in rows]
    assert len(losses) == 4
    assert losses == sorted(losses)


def test_a_complete_study_is_not_run_again(own_home: Path) -> None:
    before = values_in_stores(own_home, "tiny")
    result = proxytune("study", "run", "tiny", "--home", own_home)
    assert result.exit_code == 0
    assert values_in_stores(own_home, "tiny") == before


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_an_export_holds_every_trial(ending: str, home: Path, tmp_path: Path) -> None:
    file = tmp_path / f"trials.{ending}"
    result = proxytune("study", "export", "tiny", "--to", file, "--home", home)
    assert (result.exit_code, result.stdout) == (0, f"wrote {file}\n")
    table = getattr(polars, f"read_{ending}")(file)
    stored = values_in_stores(home, "tiny")["optuna"]
    assert dict(table.select("number", "value").iter_rows()) == stored


def test_an_export_needs_no_copy(own_home: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_home / "parquet")
    (own_home / "mlflow.db").unlink()
    file = tmp_path / "trials.json"
    assert proxytune("study", "export", "tiny", "--to", file, "--home", own_home).exit_code == 0
    rows = {row["number"]: row["value"] for row in json.loads(file.read_text())}
    stored = Study(Workspace(own_home).optuna, "tiny").trials()
    assert rows == {trial.number: trial.value for trial in stored}


def test_a_driver_that_lost_its_study_says_so_and_leaves_it_as_it_is(
    study_file: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "home")
    made = create_study(workspace, study_file)

    def take(progress: Progress) -> None:
        if progress.finished:
            storage = workspace.opened_optuna
            far = replace(Holder.here(), host="far", place="far away")
            number = storage.get_study_id_from_name("tiny")
            storage.set_study_user_attr(number, LEASE, far.text())

    # Asks before each step, and not only after a silence; so that no test has to be silent.
    lease = Lease(workspace.optuna, "tiny", stale=0.0)
    with lease, pytest.raises(RunError, match=r"process \d+ on far has taken it over"):
        StudyRun(workspace, made, lease, take).finish()
    assert made.completed is None
    assert len(made.finished()) == 2
    # Who has it now also closes what records it. As a process ends, so do its delivery threads.
    for thread in threading.enumerate():
        if thread.name.startswith("delivery"):
            thread.join()
    client = MlflowClient(workspace.mlflow_uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert "KILLED" not in {run.info.status for run in runs}
    with pytest.raises(InputError, match="on far, last heard from"):
        sync_study(workspace, "tiny")


def test_deleting_asks_first(home: Path) -> None:
    result = proxytune("study", "delete", "tiny", "--home", home, answer="n\n")
    assert result.exit_code == 1
    assert "tiny" in proxytune("study", "list", "--home", home).stdout


def test_a_deleted_study_is_gone_from_every_store(own_home: Path) -> None:
    kept = own_home / "transfers" / "other" / "wide"
    for folder in (kept, own_home / "transfers" / "tiny" / "wide"):
        folder.mkdir(parents=True)
        (folder / "projection.yaml").touch()
    assert (own_home / "artifacts" / "tiny").exists()
    result = proxytune("study", "delete", "tiny", "--yes", "--home", own_home)
    assert (result.exit_code, result.stdout) == (0, "deleted tiny\n")
    assert [path for path in own_home.rglob("*") if path.name == "tiny"] == []
    assert (kept / "projection.yaml").exists()
    assert proxytune("study", "list", "--json", "--home", own_home).stdout == "[]\n"
    assert not list(own_home.glob("parquet/*/study=tiny"))
    with pytest.raises((AssertionError, KeyError)):
        values_in_stores(own_home, "tiny")


def test_a_projection_alone_has_no_check(own_home: Path, target_file: Path) -> None:
    result = proxytune(
        "transfer", "--target", target_file, "--no-check", "--json", "--home", own_home
    )
    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert document["check"] is None
    assert document["cost"]["share"] is None
    assert (own_home / "transfers" / "tiny" / "wide" / "projection.yaml").exists()


def test_a_projection_keeps_the_verdict_on_it_and_no_other(
    own_home: Path, target_file: Path
) -> None:
    folder = own_home / "transfers" / "tiny" / "wide"
    words = ("transfer", "--target", target_file, "--home", own_home)
    proxytune(*words)
    checked = json.loads((folder / "projection.json").read_text())
    assert checked["check"] is not None
    assert proxytune(*words, "--no-check").exit_code == 0
    assert json.loads((folder / "projection.json").read_text()) == checked
    assert (folder / "check.png").exists()
    write_yaml(target_file, TARGET | {"shape": TARGET["shape"] | {"d_model": 96}})
    assert proxytune(*words, "--no-check").exit_code == 0
    assert json.loads((folder / "projection.json").read_text())["check"] is None
    assert not (folder / "check.png").exists()


def test_a_check_that_cannot_fit_is_refused_at_once_and_the_projection_is_there(
    own_home: Path, tmp_path: Path
) -> None:
    shape = TARGET["shape"] | {"d_model": 2**20, "n_heads": 2**13, "n_kv_heads": 2**10}
    huge = write_yaml(tmp_path / "huge.yaml", TARGET | {"name": "huge", "shape": shape})
    result = proxytune("transfer", "--target", huge, "--home", own_home)
    assert result.exit_code == 2
    for fact in ("'huge'", " GB ", "check_shape", "--no-check"):
        assert fact in result.stderr
    assert (own_home / "transfers" / "tiny" / "huge" / "projection.yaml").exists()


def test_a_transfer_tells_what_share_of_the_run_tuning_cost(
    own_home: Path, tmp_path: Path
) -> None:
    planned = write_yaml(tmp_path / "planned.yaml", TARGET | {"tokens": 1e6})
    words = ("transfer", "--target", planned, "--no-check", "--home", own_home)
    cost = json.loads(proxytune(*words, "--json").stdout)["cost"]
    shown = json.loads(proxytune("study", "show", "tiny", "--json", "--home", own_home).stdout)
    assert cost["study_flops"] == pytest.approx(sum(shown["flops"].values()))
    assert cost["share"] == pytest.approx(cost["study_flops"] / cost["target_flops"])
    assert "% of the run's" in proxytune(*words).stdout


def test_a_verdict_that_is_bad_exits_with_1(own_home: Path, tmp_path: Path) -> None:
    strict = write_yaml(
        tmp_path / "strict.yaml", TARGET | {"check": {"steps": 10, "update_ratio": 1.0001}}
    )
    result = proxytune("transfer", "--target", strict, "--json", "--home", own_home)
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["check"]["verdict"] == "fail"
    told = [line.split(":")[0] for line in result.stderr.splitlines()]
    # The phase itself, then two evaluations of the proxy and of each rate of the target.
    assert told == [*["check"] * 9, "writing the report"]
