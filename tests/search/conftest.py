"""Storages of every kind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from proxytune.storage.open import open_storage
from tests.studies import in_memory

Open = Callable[[], BaseStorage]


@pytest.fixture(
    params=["memory", "journal", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one storage of each kind, as a new process would."""
    if request.param == "memory":
        kept = in_memory()
        return lambda: kept
    urls = {"journal": None, "sqlite": f"sqlite:///{tmp_path / 'optuna.db'}"}
    if request.param == "postgres":
        urls["postgres"] = request.getfixturevalue("empty_database")
    return lambda: open_storage(tmp_path / "journal", urls[request.param])
