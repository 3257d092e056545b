"""MLflow's store in a file is whole or not there, whoever makes it and whatever ends them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxytune.records.database import database_file
from proxytune.records.mlflow import MlflowSink
from proxytune.testing.records import study

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
    assert MlflowSink(uri, tmp_path).open(study("killed")) == set()


@pytest.mark.slow
def test_two_that_make_one_store_at_once_have_the_same(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    makers = [subprocess.Popen([sys.executable, "-c", MAKE, uri]) for _ in range(2)]
    assert [maker.wait() for maker in makers] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
    assert MlflowSink(uri, tmp_path).open(study("twice")) == set()


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
