"""MLflow's store in a file is whole or not there, whoever makes it and whatever ends them."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from proxytune.home import Home
from proxytune.records.database import database_file
from proxytune.records.mlflow import MlflowSink
from proxytune.testing.records import study, trial
from proxytune.workflows.workspace import Workspace

MAKE = """
import sys
import proxytune.records.mlflow
from proxytune.records.database import make_database

make_database(sys.argv[1])
"""
A_PART = 100_000
"""Bytes: MLflow has made some of its tables by then, and not all."""


@pytest.mark.slow
def test_a_store_whose_only_maker_was_killed_is_made_anew(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    maker = subprocess.Popen([sys.executable, "-c", MAKE, uri])
    while sum(file.stat().st_size for file in tmp_path.glob(".writing-" + 32 * "?")) < A_PART:
        assert maker.poll() is None
        time.sleep(0.001)
    maker.kill()
    maker.wait()
    assert not (tmp_path / "mlflow.db").exists()
    assert MlflowSink(uri).open(study("killed")) == set()


@pytest.mark.slow
def test_two_that_make_one_store_at_once_have_the_same(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    makers = [subprocess.Popen([sys.executable, "-c", MAKE, uri]) for _ in range(2)]
    assert [maker.wait() for maker in makers] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
    assert MlflowSink(uri).open(study("twice")) == set()


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////home/me/mlflow.db", Path("/home/me/mlflow.db")),
        ("sqlite:///mlflow.db?timeout=9", Path("mlflow.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg2://me:s3cret@host/name", None),
        ("http://127.0.0.1:5000", None),
        ("file:///home/me/mlruns", None),
        ("databricks", None),
    ],
)
def test_only_databases_in_files_are_made(uri: str, file: Path | None) -> None:
    assert database_file(uri) == file


NAMES = ("h?q", "h%41", "h#1 ä", "h?%2F&x=1")


def artifacts(client: MlflowClient, study: str) -> dict[str, list[str]]:
    """The names of a study's artifacts, by the folder that each of its runs keeps them in."""
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    return {
        run.info.artifact_uri: [file.path for file in client.list_artifacts(run.info.run_id)]
        for run in client.search_runs([experiment.experiment_id])
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a recorded study. Not to be changed."""
    folder = tmp_path_factory.mktemp("kept") / "home"
    record(MlflowSink(Workspace(folder).mlflow_uri))
    return folder


def record(sink: MlflowSink) -> None:
    spec = study("kept")
    sink.open(spec)
    sink.add([trial(spec, 0)])
    sink.close(complete=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_home_is_where_its_path_says_whatever_characters_it_holds(
    name: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kept, name)
    spec = study("other")
    sink = MlflowSink(Workspace(name).mlflow_uri)
    sink.open(spec)
    sink.add([trial(spec, 0)])
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert sorted(file.name for file in Path(name).iterdir()) == ["artifacts", "mlflow.db"]
    of_other = artifacts(MlflowClient(Home(tmp_path / name).mlflow_uri), "other")
    assert ["study.json"] in of_other.values()


@pytest.mark.slow
def test_a_store_is_made_where_its_path_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record(MlflowSink(Workspace("h?%41 #x").mlflow_uri))
    assert [file.name for file in tmp_path.iterdir()] == ["h?%41 #x"]
    assert (tmp_path / "h?%41 #x" / "mlflow.db").exists()


def test_the_artifacts_of_a_copied_home_are_the_copys(kept: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(kept, tmp_path / "copy"))
    of_copy = artifacts(MlflowClient(Workspace(copy).mlflow_uri), "kept")
    assert ["study.json"] in of_copy.values()
    assert all(place.startswith((copy / "artifacts").as_uri()) for place in of_copy)
    # And the original is as it was.
    original = artifacts(MlflowClient(Workspace(kept).mlflow_uri), "kept")
    assert all(place.startswith((kept / "artifacts").as_uri()) for place in original)


def test_the_artifacts_of_a_store_in_a_file_are_beside_it(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stores").mkdir()
    shutil.copy(kept / "mlflow.db", "stores/other.db")
    spec = study("beside")
    workspace = Workspace("home", tracking_uri="sqlite:///stores/other.db")
    MlflowSink(workspace.mlflow_uri).open(spec)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stores"]
    client = MlflowClient("sqlite:///stores/other.db")
    assert artifacts(client, "beside") == {
        place: ["study.json"] for place in artifacts(client, "beside")
    }
    assert list((tmp_path / "stores/artifacts/beside").rglob("study.json"))
