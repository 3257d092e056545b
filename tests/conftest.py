"""What all tests share: small shapes, tokens prepared once, and servers started once."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from threadpoolctl import threadpool_limits

from proxytune.config.data import DataSpec
from proxytune.config.shape import Shape
from proxytune.data.prepare import prepare
from proxytune.storage.open import open_storage
from tests.servers import Databases, Postgres, running_mlflow, running_postgres

TEXT = "".join(f"line {i} of {i * i % 97} is not line {i + 1}.\n" for i in range(2000))


# Every Ray of these tests asks for a token, as a deployed one does. It reads this once a process.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
# Models of these sizes gain nothing from a second thread, and lose much where cores are shared.
os.environ["OMP_NUM_THREADS"] = "1"
threadpool_limits(1)
torch.set_num_threads(1)
# A shell has SIGINT ignored by a command in the background, and nohup has SIGHUP; what tests start
# would ignore them, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest tests come first: else one worker ends with them, alone.

    How long a test takes is told by how long it may take.
    """
    longest: dict[Path, float] = {}
    for item in items:
        longest[item.path] = max(_seconds(item), longest.get(item.path, 0.0))
    items.sort(key=lambda item: -longest[item.path])


def _seconds(item: pytest.Item) -> float:
    if item.get_closest_marker("slow") is None:
        return 0.0
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0] if limit else item.config.getini("timeout"))


@pytest.fixture
def shape() -> Shape:
    """A decoder small enough for milliseconds, with repeat factor 2."""
    return Shape(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=16)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 50 kB of text."""
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def tokens(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token cache of `text_file`."""
    return prepare(DataSpec(text=(str(text_file),)), 16, tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, empty."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """Its databases, for Optuna and for MLflow, as they are deployed."""
    return postgres.create()


@pytest.fixture
def empty_database(databases: Databases, tmp_path: Path) -> str:
    """The URL of Optuna's, without the studies of earlier tests, whoever's they were."""
    storage = open_storage(tmp_path / "optuna.journal", databases.optuna)
    for study in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=study, storage=storage)
    return databases.optuna


@pytest.fixture(scope="session")
def mlflow_server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's server on PostgreSQL, as it is deployed."""
    with running_mlflow(databases, tmp_path_factory.mktemp("mlflow-server")) as address:
        yield address
