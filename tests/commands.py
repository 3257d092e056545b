"""Runs the command as a user would, on a study that trains in a second; reads what it stored."""

import os
import sys
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import yaml
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from proxytune.cli.main import main
from proxytune.home import Home
from proxytune.patience import Patience

COMMAND = (sys.executable, "-c", "from proxytune.cli.main import main; main()")
"""For a process of its own; what the installed script does."""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("MLFLOW_TRACKING_URI", "PROXYTUNE_STORAGE", "RAY_ADDRESS")
} | {"COLUMNS": "80"}
TINY: dict[str, Any] = {
    "name": "tiny",
    "proxy": {"d_model": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "seq_len": 16},
    "training": {"steps": 10, "batch_size": 2, "evaluations": 2, "evaluation_batches": 1},
    "search": {
        "trials": 4,
        "pack_size": 2,
        "space": {"learning_rate": {"low": 0.002, "high": 0.1, "log": True}},
    },
    "selection": {"top": 2, "seeds": 1, "max_seeds": 1},
    "execution": {"executor": "local"},
}
TARGET: dict[str, Any] = {
    "name": "wide",
    "shape": {"d_model": 64, "n_layers": 3, "n_heads": 16, "n_kv_heads": 4, "seq_len": 16},
    "check": {"steps": 10},
}


def proxytune(
    *arguments: str | Path, answer: str = "", patience: Patience | None = None
) -> Result:
    """What the command printed and its exit code. Raises what it did not turn into words."""
    runner = CliRunner(env=ENVIRONMENT | {"PROXYTUNE_HOME": None})
    words = [*map(str, arguments)]
    return runner.invoke(main, words, input=answer, catch_exceptions=False, obj=patience)


def write_yaml(path: Path, document: object) -> Path:
    """Writes a spec."""
    path.write_text(yaml.safe_dump(document))
    return path


def journal(home: Home) -> JournalStorage:
    """The embedded storage, read with Optuna's own library."""
    return JournalStorage(JournalFileBackend(str(home.journal)))


def values_in_stores(home: Path, study: str) -> dict[str, dict[int, float | None]]:
    """Store -> trial number -> validation loss, each store read with its own library."""
    place = Home(home.absolute())
    loaded = optuna.load_study(study_name=study, storage=journal(place))
    trials = loaded.get_trials(deepcopy=False)
    client = MlflowClient(tracking_uri=place.mlflow_uri)
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    children = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`proxytune.kind` = 'trial'"
    )
    rows = [
        row
        for part in (place.parquet / "trials" / f"study={study}").glob("*.parquet")
        for row in pq.ParquetFile(part).read(columns=["number", "value"]).to_pylist()
    ]
    stores = {
        "optuna": [(trial.number, trial.value) for trial in trials],
        "mlflow": [
            (int(run.data.tags["proxytune.trial"]), run.data.metrics.get("final_validation_loss"))
            for run in children
        ],
        "parquet": [(row["number"], row["value"]) for row in rows],
    }
    for pairs in stores.values():
        assert len(dict(pairs)) == len(pairs), "a trial was recorded twice"
    return {store: dict(sorted(pairs)) for store, pairs in stores.items()}
