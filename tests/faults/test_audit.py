"""The audit sees what it is there for, in real stores that were tampered with."""

import copy
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from proxytune.home import Home
from tests.commands import TINY, journal, proxytune, write_yaml
from tests.faults.audit import audit
from tests.faults.plan import plan
from tests.faults.rows import Store, read_all, read_optuna

TRIALS = TINY["search"]["trials"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, text_file: Path) -> Path:
    """The home of a study that nothing happened to."""
    folder = tmp_path_factory.mktemp("audited")
    file = write_yaml(folder / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})
    assert proxytune("study", "create", file, "--home", folder / "home").exit_code == 0
    return folder / "home"


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Home:
    """A copy to tamper with."""
    return Home(shutil.copytree(finished, tmp_path / "home"))


def found(home: Home, reference: Store | None = None) -> dict[str, int]:
    """How much of each kind the audit finds; what it does not find is left out."""
    stores = read_all(journal(home), home.mlflow_uri, home.parquet, "tiny")
    findings = audit(stores, reference or stores["Optuna"], TRIALS)
    return {kind: len(lines) for kind, lines in asdict(findings).items() if lines}


def run_of_a_trial(home: Home) -> tuple[MlflowClient, Run]:
    client = MlflowClient(tracking_uri=home.mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    of_trial = "tags.`proxytune.kind` = 'trial' and tags.`proxytune.trial` = '1'"
    runs = client.search_runs([experiment.experiment_id], filter_string=of_trial)
    return client, runs[0]


def test_an_undisturbed_study_has_nothing_wrong(home: Home) -> None:
    assert found(home) == {}


def test_a_run_that_is_missing_is_lost(home: Home) -> None:
    client, run = run_of_a_trial(home)
    client.delete_run(run.info.run_id)
    assert found(home) == {"lost": 1}


def test_rows_that_are_missing_are_lost(home: Home) -> None:
    for part in home.parquet.glob("*/study=tiny/*.parquet"):
        part.unlink()
    assert found(home) == {"lost": TRIALS}


def test_curves_that_are_missing_are_a_mismatch(home: Home) -> None:
    for part in home.parquet.glob("curves/study=tiny/*.parquet"):
        part.unlink()
    assert found(home)["mismatched"] >= TRIALS


def test_a_second_run_of_a_trial_is_a_duplicate(home: Home) -> None:
    client, run = run_of_a_trial(home)
    again = client.create_run(run.info.experiment_id, tags=run.data.tags)
    client.set_terminated(again.info.run_id)
    assert found(home)["duplicated"] == 1


def test_rows_that_are_there_twice_are_duplicates(home: Home) -> None:
    (part,) = home.parquet.glob("trials/study=tiny/*.parquet")
    shutil.copy(part, part.with_name("part-00001.parquet"))
    assert found(home) == {"duplicated": TRIALS}


def test_a_curve_that_is_there_twice_is_a_duplicate(home: Home) -> None:
    (part,) = home.parquet.glob("curves/study=tiny/*.parquet")
    shutil.copy(part, part.with_name("part-00001.parquet"))
    evaluations = TRIALS * TINY["training"]["evaluations"]
    assert found(home) == {"duplicated": evaluations}


def test_a_value_that_differs_between_stores_is_a_mismatch(home: Home) -> None:
    client, run = run_of_a_trial(home)
    client.log_metric(run.info.run_id, "final_validation_loss", 1.0, step=1)
    assert found(home) == {"mismatched": 2}, "from both other stores"


def test_a_run_that_was_not_ended_is_left_open(home: Home) -> None:
    client, run = run_of_a_trial(home)
    client.update_run(run.info.run_id, status="RUNNING")
    assert found(home)["left_open"] == 1


def test_a_trial_that_was_not_ended_is_left_open_and_one_too_many(home: Home) -> None:
    optuna.load_study(study_name="tiny", storage=journal(home)).ask()
    assert found(home) == {"left_open": 1, "duplicated": 1}


def _another_value(store: Store) -> None:
    store.rows[2]["value"] *= 1.0001


def _another_curve(store: Store) -> None:
    store.rows[2]["validation_loss@5"] *= 1.0001


def _another_parameter(store: Store) -> None:
    store.rows[2]["learning_rate"] *= 1.0001


def _another_selection(store: Store) -> None:
    store.selection["candidates"].reverse()


@pytest.mark.parametrize(
    "change", [_another_value, _another_curve, _another_parameter, _another_selection]
)
def test_what_differs_from_an_undisturbed_run_is_a_mismatch(
    home: Home, change: Callable[[Store], None]
) -> None:
    reference = copy.deepcopy(read_optuna(journal(home), "tiny"))
    change(reference)
    assert found(home, reference) == {"mismatched": 1}


def test_a_trial_without_a_result_is_lost(home: Home) -> None:
    stores = read_optuna(journal(home), "tiny")
    stores.rows[0]["state"] = "failed"
    same = {"Optuna": stores, "MLflow": stores, "Parquet": stores}
    assert len(audit(same, stores, TRIALS).lost) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_has_every_kind_and_follows_from_its_seed(seed: int) -> None:
    drawn = partial(plan, trials=12, kinds=("driver", "driver", "node"), start_seconds=9.0)
    kills = Counter(fault.kind for fault in drawn(seed))
    assert (set(kills), kills["driver"] >= 2) == ({"driver", "node"}, True)
    assert drawn(seed) == drawn(seed) != drawn(seed + 1)
