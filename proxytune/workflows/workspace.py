"""Where a project keeps things, and what trains for it.

Every library that takes long to import is imported where it is used: a command that only reads a
study must not wait for torch, Ray or MLflow.
"""

import os
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from proxytune.config.experiment import ExperimentSpec
from proxytune.errors import RunError
from proxytune.home import ADDRESS, DEFAULT_HOME, HOME, STORAGE, TRACKING_URI, Home
from proxytune.packs.ports import Executor
from proxytune.patience import Patience

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from proxytune.records.mlflow import MlflowSink
    from proxytune.records.sink import RecordSink
    from proxytune.workflows.stored_study import StoredStudy

USUAL_TRACKING_URIS = ("http://", "https://", "sqlite:///", "postgresql://")
"""Addresses of MLflow that need no look at what it supports."""


class Workspace:
    """Everything kept in one home, or in the stores named instead.

    `Workspace()` is what the commands use without options: what is not given comes from the
    environment, or else is the default.
    """

    def __init__(
        self,
        home: str | Path | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
        *,
        address: str | None = None,
        remark: Callable[[str], object] = warnings.warn,
        patience: Patience = Patience(),
    ) -> None:
        """Raises InputError for a tracking URI of a kind that MLflow does not know.

        home: the folder of everything that is kept; else $PROXYTUNE_HOME, else `.proxytune`.
        storage: Optuna storage URL; else $PROXYTUNE_STORAGE, else the journal in home.
        tracking_uri: MLflow; else $MLFLOW_TRACKING_URI, else the SQLite store in home.
        address: the Ray cluster to join; else $RAY_ADDRESS, else one of this machine's own.
        remark: told what a user should know, but nothing failed for.
        patience: how long stores that are away are waited for.
        """
        self.home = Path(home or os.environ.get(HOME) or DEFAULT_HOME)
        self.storage = storage or os.environ.get(STORAGE) or None
        self.tracking_uri = tracking_uri or os.environ.get(TRACKING_URI) or None
        self.address = address or os.environ.get(ADDRESS) or None
        self.remark = remark
        self.patience = patience
        if self.tracking_uri and not self.tracking_uri.startswith(USUAL_TRACKING_URIS):
            from proxytune.records.mlflow import require_tracking_uri

            # Before anything is trained: one that is wrong looks like a server that is away.
            require_tracking_uri(self.tracking_uri)

    def study(self, name: str) -> "StoredStudy":
        """A study that is stored here. Raises InputError if there is none of that name."""
        from proxytune.workflows.stored_study import StoredStudy

        return StoredStudy(self, name)

    @cached_property
    def paths(self) -> Home:
        """Paths in home. Raises InputError where it cannot be written."""
        return Home.writable(self.home)

    def tokens(self, spec: ExperimentSpec) -> Path:
        """The token cache of an experiment's corpus, made if need be."""
        from proxytune.data.tokens import prepare

        return prepare(spec.data, spec.proxy.seq_len, self.paths.tokens)

    def executor(self, spec: ExperimentSpec) -> Executor:
        """What trains an experiment's packs."""
        from proxytune.training.pack import start_pack

        if spec.execution.executor == "local":
            from proxytune.execution.local import LocalExecutor

            return LocalExecutor(start_pack)
        from proxytune.execution.ray.quiet import hush

        hush()
        from proxytune.execution.ray.executor import RayExecutor

        return RayExecutor(start_pack, spec.execution, self.address)

    def mlflow(self) -> "MlflowSink":
        """The tracking store."""
        from proxytune.records.mlflow import MlflowSink

        artifacts = None if self.tracking_uri else self.paths.artifacts
        return MlflowSink(self.mlflow_uri, artifacts)

    def sinks(self) -> list["RecordSink"]:
        """Where finished trials are recorded."""
        from proxytune.records.parquet import ParquetSink

        return [ParquetSink(self.paths.parquet), self.mlflow()]

    def add_to_mlflow(self, add: Callable[["MlflowSink"], None]) -> None:
        """Has a result added that is in files already; a store that fails costs a remark."""
        try:
            add(self.mlflow())
        except RunError as error:
            self.remark(f"{error}; the result is in its files, but not in MLflow")

    @property
    def mlflow_uri(self) -> str:
        """Where MLflow is."""
        return self.tracking_uri or self.paths.mlflow_uri

    @property
    def optuna(self) -> "BaseStorage":
        """Optuna's storage; an empty one as long as there is none."""
        from proxytune.storage.open import empty_storage

        is_there = self.storage or self.paths.journal.exists()
        return self.opened_optuna if is_there else empty_storage()

    @cached_property
    def opened_optuna(self) -> "BaseStorage":
        """Optuna's storage, made if need be."""
        from proxytune.storage.open import open_storage

        return open_storage(self.paths.journal, self.storage, self.patience)
