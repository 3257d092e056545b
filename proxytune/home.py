"""Where everything of the embedded default lives: paths under PROXYTUNE_HOME, and nothing else."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folder PROXYTUNE_HOME."""

    folder: Path

    @property
    def journal(self) -> Path:
        """Optuna's storage: the truth about studies and trials."""
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
    def locks(self) -> Path:
        """One file a study, held by the process that runs it."""
        return self.folder / "locks"

    def packs(self, study: str) -> Path:
        """Checkpoints of a study's packs."""
        return self.folder / "packs" / study

    def transfer(self, study: str, target: str) -> Path:
        """Files of one transfer."""
        return self.folder / "transfers" / study / target
