"""The paths under PROXYTUNE_HOME, where everything is stored by default."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
    def mlflow_uri(self) -> str:
        """MLflow's embedded store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts."""
        return self.folder / "artifacts"

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

    def transfer(self, study: str, target: str) -> Path:
        """Files of one transfer."""
        return self.folder / "transfers" / study / target

    def evidence(self, name: str) -> Path:
        """Files of one evidence run."""
        return self.folder / "evidence" / name

    def coordinates(self, name: str) -> Path:
        """Files of one coordinate check."""
        return self.folder / "coordinates" / name
