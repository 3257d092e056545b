"""Where a project keeps things, and what trains for it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from proxytune.config.experiment import ExperimentSpec
from proxytune.data.tokens import prepare
from proxytune.errors import RunError
from proxytune.execution.local import LocalExecutor
from proxytune.execution.ray.quiet import hush
from proxytune.home import Home
from proxytune.packs.ports import Executor
from proxytune.records.mlflow import MlflowSink, require_tracking_uri
from proxytune.records.parquet import ParquetSink
from proxytune.records.sink import RecordSink
from proxytune.storage.open import empty_storage, open_storage
from proxytune.training.pack import start_pack

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


@dataclass(frozen=True)
class Workspace:
    """Everything kept in one home, or in the stores named instead."""

    home: Path
    storage: str | None = None
    """Optuna storage URL; None: the journal in home."""
    tracking_uri: str | None = None
    """MLflow; None: the SQLite store in home."""
    address: str | None = field(default=None, kw_only=True)
    """Ray cluster to join; None: one of this machine's own."""
    remark: Callable[[str], object] = field(default=warnings.warn, kw_only=True)
    """Told what a user should know, but nothing failed for."""

    def __post_init__(self) -> None:
        # Before anything is trained: an address that is wrong looks like a server that is away.
        if self.tracking_uri:
            require_tracking_uri(self.tracking_uri)

    @cached_property
    def paths(self) -> Home:
        """Paths in home. Raises InputError where it cannot be written."""
        return Home.writable(self.home)

    def tokens(self, spec: ExperimentSpec) -> Path:
        """The token cache of an experiment's corpus, made if need be."""
        return prepare(spec.data, spec.proxy.seq_len, self.paths.tokens)

    def executor(self, spec: ExperimentSpec) -> Executor:
        """What trains an experiment's packs."""
        if spec.execution.executor == "local":
            return LocalExecutor(start_pack)
        hush()
        # Not before it is needed: Ray takes seconds to import.
        from proxytune.execution.ray.executor import RayExecutor

        return RayExecutor(start_pack, spec.execution, self.address)

    def mlflow(self) -> MlflowSink:
        """The tracking store."""
        artifacts = None if self.tracking_uri else self.paths.artifacts
        return MlflowSink(self.mlflow_uri, artifacts)

    def sinks(self) -> list[RecordSink]:
        """Where finished trials are recorded."""
        return [ParquetSink(self.paths.parquet), self.mlflow()]

    def add_to_mlflow(self, add: Callable[[MlflowSink], None]) -> None:
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
        is_there = self.storage or self.paths.journal.exists()
        return self.opened_optuna if is_there else empty_storage()

    @cached_property
    def opened_optuna(self) -> "BaseStorage":
        """Optuna's storage, made if need be."""
        return open_storage(self.paths.journal, self.storage)
