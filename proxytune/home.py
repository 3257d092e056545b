"""The paths under PROXYTUNE_HOME, where everything is stored by default."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from proxytune.errors import InputError

HOME, STORAGE = "PROXYTUNE_HOME", "PROXYTUNE_STORAGE"
TRACKING_URI, ADDRESS = "MLFLOW_TRACKING_URI", "RAY_ADDRESS"
"""Environment variables that say where things are kept and trained, unless a user does."""
DEFAULT_HOME = ".proxytune"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder PROXYTUNE_HOME."""

    folder: Path
    """An absolute path."""

    @classmethod
    def writable(cls, folder: Path) -> Self:
        """The home in a folder. Raises InputError if nothing can be written there."""
        home = cls(folder.absolute())
        if home.obstacle:
            raise InputError.of_field("--home", str(folder), home.obstacle)
        return home

    @classmethod
    def readable(cls, folder: Path) -> Self:
        """The home in a folder, which may be read-only. Raises InputError if it cannot be one."""
        home = cls(folder.absolute())
        if not home.nearest.is_dir():
            raise InputError.of_field("--home", str(folder), str(home.obstacle))
        return home

    @property
    def nearest(self) -> Path:
        """The folder itself, or the closest one above it that exists."""
        return next(path for path in (self.folder, *self.folder.parents) if os.path.exists(path))

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be written here; None if it can."""
        if not self.nearest.is_dir():
            return f"{self.nearest} is not a folder"
        writable = os.access(self.nearest, os.W_OK | os.X_OK)
        return None if writable else f"{self.nearest} cannot be written"

    @property
    def journal(self) -> Path:
        """Optuna's storage: the source of truth for studies and trials."""
        return self.folder / "optuna.journal"

    @property
    def mlflow(self) -> Path:
        """MLflow's embedded store; its artifacts are in the folder `artifacts` beside it."""
        return self.folder / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        """The address of MLflow's embedded store."""
        return sqlite_url(self.mlflow)

    @property
    def parquet(self) -> Path:
        """The data sets `trials` and `curves`."""
        return self.folder / "parquet"

    @property
    def tokens(self) -> Path:
        """Token caches."""
        return self.folder / "data-cache"

    @property
    def calibrations(self) -> Path:
        """Measured speeds of packs, one file per device, shape and batch."""
        return self.folder / "calibration"

    @property
    def locks(self) -> Path:
        """One lock file per evidence run, held by the process that runs it."""
        return self.folder / "locks"

    def packs(self, study: str) -> Path:
        """Checkpoints of a study's packs."""
        return self.folder / "packs" / study

    def runs(self, study: str) -> Path:
        """Folders of the runs that a trainer of the user's own trains."""
        return self.folder / "runs" / study

    def transfers(self, study: str) -> Path:
        """A study's transfers, one folder each."""
        return self.folder / "transfers" / study

    def transfer(self, study: str, target: str) -> Path:
        """Files of one transfer."""
        return self.transfers(study) / target

    def evidence(self, name: str) -> Path:
        """Files of one evidence run."""
        return self.folder / "evidence" / name

    def comparison(self, one: str, other: str) -> Path:
        """A comparison of two studies."""
        return self.folder / "comparisons" / one / other

    def coordinates(self, name: str) -> Path:
        """Files of one coordinate check."""
        return self.folder / "coordinates" / name


def sqlite_url(file: Path) -> str:
    """The URL of a database in a file, whatever its path holds."""
    path = str(file)
    # SQLAlchemy ends a path at a question mark and decodes percent signs. With its slashes quoted,
    # too, MLflow makes no folder of the quoted name.
    return f"sqlite:///{quote(path, safe='') if {'?', '%'} & {*path} else path}"
