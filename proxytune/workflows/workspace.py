"""Where a project keeps things, and what trains for it.

Every library that takes long to import is imported where it is used: a command that only reads a
study must not wait for torch, Ray or MLflow.
"""

import os
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from proxytune.config.experiment import ExperimentSpec, ExperimentT
from proxytune.errors import RunError
from proxytune.home import ADDRESS, DEFAULT_HOME, HOME, STORAGE, TRACKING_URI, Home
from proxytune.packs.phase import OnPhase, Pace, Phase
from proxytune.packs.ports import Executor
from proxytune.patience import Patience

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from proxytune.data.prepare import Reading
    from proxytune.records.results import ResultLog
    from proxytune.records.sink import RecordSink
    from proxytune.workflows.stored_study import StoredStudy

QUIET_SECONDS = 2.0
"""Reading a corpus that takes no longer is no phase."""


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
        on_phase: OnPhase = lambda phase: None,
        patience: Patience = Patience(),
    ) -> None:
        """Raises InputError for a tracking URI at which MLflow can record nothing.

        home: the folder of everything that is kept; else $PROXYTUNE_HOME, else `.proxytune`.
        storage: Optuna storage URL; else $PROXYTUNE_STORAGE, else the journal in home.
        tracking_uri: MLflow; else $MLFLOW_TRACKING_URI, else the SQLite store in home.
        address: the Ray cluster to join; else $RAY_ADDRESS, else one of this machine's own.
        remark: told what a user should know, but nothing failed for.
        on_phase: told of everything that takes long: what it is, and how far.
        patience: how long stores that are away are waited for.
        """
        self.home = Path(home or os.environ.get(HOME) or DEFAULT_HOME)
        self.storage = storage or os.environ.get(STORAGE) or None
        self.tracking_uri = tracking_uri or os.environ.get(TRACKING_URI) or None
        self.address = address or os.environ.get(ADDRESS) or None
        self.remark = remark
        self.on_phase = on_phase
        self.patience = patience
        if self.tracking_uri:
            from proxytune.records.address import require_tracking_uri

            # Before anything is trained: one that is wrong looks like a server that is away.
            require_tracking_uri(self.tracking_uri)

    def study(self, name: str) -> "StoredStudy":
        """A study that is stored here. Raises InputError if there is none of that name."""
        from proxytune.workflows.stored_study import StoredStudy

        return StoredStudy(self, name)

    @cached_property
    def paths(self) -> Home:
        """Paths in home, to write there. Raises InputError where that is not possible."""
        return Home.writable(self.home)

    def require_writable(self) -> None:
        """Refuses, with InputError, a home in which nothing can be written."""
        Home.writable(self.home)

    @cached_property
    def stored(self) -> Home:
        """The same, to read what is there: a home may be read-only."""
        return Home.readable(self.home)

    def with_vocabulary(self, spec: ExperimentT) -> ExperimentT:
        """The experiment with the vocabulary of its tokens, unless it says one itself."""
        if "vocab_size" in spec.proxy.model_fields_set or spec.data.is_bytes:
            return spec
        from proxytune.data.tokens import facts_of

        return spec.of_vocabulary(facts_of(self._prepared(spec, None)).vocab_size)

    def tokens(self, spec: ExperimentSpec) -> Path:
        """The folder of an experiment's tokens, made if need be.

        Raises InputError for a corpus that cannot be used, or is not of the proxy's vocabulary.
        """
        return self._prepared(spec, spec.proxy.vocab_size)

    def _prepared(self, spec: ExperimentSpec, vocab_size: int | None) -> Path:
        from proxytune.data.prepare import prepare

        return prepare(
            spec.data,
            spec.proxy.seq_len,
            self.paths.tokens,
            reads=spec.training.tokens(spec.proxy.seq_len + 1),
            vocab_size=vocab_size,
            observe=_as_phase(self.on_phase),
        )

    def executor(self, spec: ExperimentSpec) -> Executor:
        """What trains an experiment's packs."""
        from proxytune.trainers.choice import runner_factory

        start = runner_factory(spec, self.paths.runs(spec.name))
        if spec.execution.executor == "local":
            from proxytune.execution.local import LocalExecutor

            return LocalExecutor(start, spec.execution.max_failures)
        where = "starting Ray" if self.address is None else f"joining Ray at {self.address}"
        self.on_phase(Phase(where))
        from proxytune.execution.ray.quiet import hush

        hush()
        from proxytune.execution.ray.executor import RayExecutor

        return RayExecutor(start, spec.execution, self.address, self.remark)

    def sinks(self) -> list["RecordSink"]:
        """Where finished trials are recorded."""
        from proxytune.records.mlflow import MlflowSink
        from proxytune.records.parquet import ParquetSink

        return [ParquetSink(self.paths.parquet), MlflowSink(self.mlflow_uri)]

    def results(self) -> "ResultLog":
        """What MLflow has of results."""
        from proxytune.records.results import ResultLog
        from proxytune.records.tracking import TrackingStore

        return ResultLog(TrackingStore(self.mlflow_uri))

    def add_to_mlflow(self, add: Callable[["ResultLog"], None]) -> None:
        """Has a result added that is in files already; a store that fails costs a remark."""
        try:
            add(self.results())
        except RunError as error:
            self.remark(f"{error}; the result is in its files, but not in MLflow")

    @property
    def mlflow_uri(self) -> str:
        """Where MLflow is; artifacts of a home that was copied or moved are in its new place."""
        if self.tracking_uri is not None:
            return self.tracking_uri
        from proxytune.records.database import move_artifacts

        move_artifacts(self.stored.mlflow)
        return self.stored.mlflow_uri

    @property
    def optuna(self) -> "BaseStorage":
        """Optuna's storage; an empty one as long as there is none."""
        from proxytune.storage.open import empty_storage

        return self.opened_optuna if self._has_optuna else empty_storage()

    @cached_property
    def opened_optuna(self) -> "BaseStorage":
        """Optuna's storage, made if need be."""
        from proxytune.storage.open import open_storage

        place = self.stored if self._has_optuna else self.paths
        return open_storage(place.journal, self.storage, self.patience)

    @property
    def _has_optuna(self) -> bool:
        return self.storage is not None or self.stored.journal.exists()


def _as_phase(tell: OnPhase) -> Callable[["Reading"], None]:
    """What hears how far a corpus is read. A sample is told of, however fast it is read."""
    pace, began = Pace(), time.monotonic()
    pace.begin()

    def hear(reading: "Reading") -> None:
        facts = reading.facts
        sample = facts is not None and facts.train + facts.validation < facts.corpus
        note = f"corpus: {facts.text}" if facts is not None and sample else ""
        if note or time.monotonic() - began > QUIET_SECONDS:
            left = pace.left(reading.share, 1.0)
            tell(Phase("reading the corpus", reading.share, 1.0, left, note))

    return hear
