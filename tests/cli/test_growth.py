"""A study that is extended, given points, continued by another and compared, as users see it."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import proxytune as library
from proxytune.home import Home
from proxytune.storage.lease import Lease
from proxytune.workflows.workspace import Workspace
from tests.cli.test_bad_input import assert_refused
from tests.commands import TINY, proxytune, values_in_stores, write_yaml

SPACE = {"learning_rate": {"low": 0.001, "high": 0.5, "log": True}}


def shown(home: Path, *words: object) -> dict[str, Any]:
    """What a command of a study prints as JSON."""
    result = proxytune("study", *map(str, words), "--json", "--home", home)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def assert_recorded(home: Path, study: dict[str, Any]) -> None:
    """Every store has these trials."""
    values = {trial["number"]: trial["value"] for trial in study["trials"]}
    stores = ("optuna", "mlflow", "parquet")
    assert values_in_stores(home, study["study"]) == dict.fromkeys(stores, values)


@pytest.mark.slow
def test_a_study_grows_and_its_copies_follow(own_home: Path, tmp_path: Path) -> None:
    before = shown(own_home, "show", "tiny")
    space = write_yaml(tmp_path / "space.yaml", SPACE)
    grown = shown(own_home, "extend", "tiny", "--trials", 2, "--space", space)
    assert (grown["state"], len(grown["trials"])) == ("complete", 6)
    assert grown["trials"][:4] == before["trials"]
    assert grown["spec"]["search"]["space"]["learning_rate"]["high"] == 0.5
    assert len(grown["selection"]["candidates"]) == 2
    assert_recorded(own_home, grown)

    waits = shown(own_home, "enqueue", "tiny", "--set", "learning_rate=0.3")
    assert (waits["state"], waits["waiting"]) == ("unfinished", [{"learning_rate": 0.3}])
    told = proxytune("study", "enqueue", "tiny", "--set", "learning_rate=0.3", "--home", own_home)
    assert "proxytune study run tiny" in told.stdout
    ran = shown(own_home, "run", "tiny")
    assert [trial["params"] for trial in ran["trials"][6:]] == [{"learning_rate": 0.3}]
    assert_recorded(own_home, ran)
    client = MlflowClient(tracking_uri=Home(own_home.absolute()).mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (parent,) = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`proxytune.kind` = 'study'"
    )
    assert (parent.info.status, parent.data.tags["search.trials"]) == ("FINISHED", "7")


@pytest.mark.slow
def test_a_study_starts_from_another_and_is_compared_with_it(
    own_home: Path, tmp_path: Path, text_file: Path
) -> None:
    """Of another shape: its best points are tried first."""
    shape = TINY["proxy"] | {"d_model": 32, "n_heads": 8}
    changes = {"name": "fine", "proxy": shape, "start_from": "tiny"}
    file = write_yaml(tmp_path / "fine.yaml", TINY | changes | {"data": {"text": str(text_file)}})
    coarse = shown(own_home, "show", "tiny")
    fine = shown(own_home, "create", file)
    best = [one["hyperparameters"] for one in coarse["selection"]["candidates"][:1]]
    assert fine["trials"][0]["params"] == {"learning_rate": best[0]["learning_rate"]}
    assert len(fine["trials"]) == 4
    assert shown(own_home, "create", file) == fine  # the same study, which is complete

    report = shown(own_home, "compare", "tiny", "fine", "--to", tmp_path / "both")
    assert [study["study"] for study in report["studies"]] == ["tiny", "fine"]
    fields = {difference["field"] for difference in report["differences"]}
    assert {"proxy.d_model", "proxy.n_heads"} <= fields
    assert not any(field.startswith(("name", "start_from")) for field in fields)
    (moved,) = report["hyperparameters"]
    assert moved["name"] == "learning_rate"
    assert report["incomparable"] is None, report["incomparable"]
    less = fine["selection"]["validation_loss"] - coarse["selection"]["validation_loss"]
    assert report["loss_difference"]["value"] == pytest.approx(less)
    assert (tmp_path / "both/comparison.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "both/comparison.json").read_text()) == report
    told = proxytune("study", "compare", "tiny", "fine", "--home", own_home)
    assert told.exit_code == 0
    assert "fine less tiny" in told.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("enqueue", "tiny", "--set", "learning_rate=9"), "learning_rate = 9.0"),
        (("enqueue", "tiny", "--set", "learning_rate=nan"), "learning_rate = nan"),
        (("enqueue", "tiny", "--set", "learning_rate"), "--set = 'learning_rate': must be NAME=V"),
        (("enqueue", "gone", "--set", "learning_rate=0.1"), "study = 'gone'"),
        (("extend", "tiny", "--trials", "0"), "'--trials'"),
        (("compare", "tiny", "gone"), "study = 'gone'"),
    ],
)
def test_a_mistake_is_refused(words: tuple[str, ...], says: str, home: Path) -> None:
    assert_refused(proxytune("study", *words, "--home", home), says)


def test_a_file_that_is_no_space_is_refused(home: Path, tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "space.yaml", {"learning_rate": {"low": 1, "high": "two"}})
    words = ("extend", "tiny", "--trials", 1, "--space", file, "--home", home)
    result = proxytune("study", *map(str, words))
    assert_refused(result, "space.yaml: space.learning_rate.high = 'two'")


def test_nobody_else_changes_a_study_that_runs(own_home: Path) -> None:
    workspace = Workspace(own_home)
    with Lease(workspace.optuna, "tiny"):
        for words in (("extend", "tiny", "--trials", "1"), ("enqueue", "tiny", "--set", "a=1")):
            assert_refused(proxytune("study", *words, "--home", own_home), "tiny")


def test_functions_do_what_the_commands_do(own_home: Path) -> None:
    workspace = library.Workspace(own_home)
    grown = library.extend_study("tiny", 2, workspace, space=SPACE)
    assert (grown.state, grown.spec.search.trials) == ("unfinished", 6)
    asked = library.enqueue_points("tiny", {"learning_rate": 0.3}, workspace)
    assert asked.waiting == ({"learning_rate": 0.3},)
    assert asked.spec.search.trials == 6
    assert library.compare_studies("tiny", "tiny", workspace).differences == ()
