"""What each of the three stores holds of a study, read with that store's own library.

A row is one trial, flat, with the same names in all stores; losses of its curve are named by their
step: `validation_loss@20`. What a store does not keep is not in its rows.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.packs.trial import TrialState

Row = dict[str, Any]
OF_CURVE = ("train_loss", "validation_loss", "grad_norm", "lr_factor")
TOTALS = ("seconds", "tokens")
NAMES = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED}


@dataclass
class Store:
    """One store's rows of a study, and what should not be there."""

    rows: list[Row]
    open: list[str] = field(default_factory=list)
    """Trials and runs that were not ended."""
    doubled: list[str] = field(default_factory=list)
    """What is there twice, other than whole rows."""
    selection: Any = None
    """The study's outcome, where it is kept."""


def read_all(
    storage: BaseStorage, tracking_uri: str, parquet: Path, study: str
) -> dict[str, Store]:
    """The study in all three stores, by their names."""
    return {
        "Optuna": read_optuna(storage, study),
        "MLflow": read_mlflow(tracking_uri, study),
        "Parquet": read_parquet(parquet, study),
    }


def finished_trials(storage: BaseStorage, study: str) -> tuple[bool, int]:
    """Whether the study is defined, and how many of its trials are finished."""
    for known in storage.get_all_studies():
        if known.study_name == study:
            trials = storage.get_all_trials(known._study_id, deepcopy=False)
            return "proxytune.spec" in known.user_attrs, sum(t.state.is_finished() for t in trials)
    return False, 0


def asked_trials(storage: BaseStorage, study: str) -> int:
    """How many trials a study asks for."""
    loaded = optuna.load_study(study_name=study, storage=storage)
    return int(json.loads(loaded.user_attrs["proxytune.spec"])["search"]["trials"])


def read_optuna(storage: BaseStorage, study: str) -> Store:
    """The study in Optuna's storage."""
    loaded = optuna.load_study(study_name=study, storage=storage)
    trials, attributes = loaded.get_trials(deepcopy=False), loaded.user_attrs
    still = [f"trial {t.number} is {t.state.name}" for t in trials if not t.state.is_finished()]
    if attributes.get("proxytune.completed") is None:
        still.append("the study is not complete")
    return Store(
        [_optuna_row(trial) for trial in trials],
        still,
        selection=attributes.get("proxytune.selection"),
    )


def read_mlflow(tracking_uri: str, study: str) -> Store:
    """The study's experiment in MLflow."""
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return Store([])
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    trials = [run for run in runs if run.data.tags["proxytune.kind"] == "trial"]
    parents = [run for run in runs if run.data.tags["proxytune.kind"] == "study"]
    store = Store([_mlflow_row(client, run) for run in trials])
    store.open += [
        f"run {run.info.run_name} is {run.info.status}"
        for run in runs
        if run.info.status not in ("FINISHED", "FAILED")
    ]
    store.doubled += ["a second run of the study"] * (len(parents) - 1)
    store.doubled += [
        f"run {run.info.run_name} has no parent"
        for run in trials
        if run.data.tags.get("mlflow.parentRunId") not in {p.info.run_id for p in parents}
    ]
    return store


def read_parquet(folder: Path, study: str) -> Store:
    """The study's rows in both Parquet data sets."""
    tables = {
        name: [
            row
            for part in sorted((folder / name / f"study={study}").glob("*.parquet"))
            for row in pq.ParquetFile(part).read().to_pylist()
        ]
        for name in ("trials", "curves")
    }
    steps = Counter((row["number"], row["step"]) for row in tables["curves"])
    known = {row["number"] for row in tables["trials"]}
    return Store(
        [
            _parquet_row(row, [c for c in tables["curves"] if c["number"] == row["number"]])
            for row in tables["trials"]
        ],
        doubled=[
            f"trial {number} at step {step} is there {times} times, its trial "
            f"{'once' if number in known else 'never'}"
            for (number, step), times in steps.items()
            if times > 1 or number not in known
        ],
    )


def _optuna_row(trial: FrozenTrial) -> Row:
    attributes = trial.user_attrs
    curve = json.loads(attributes.get("proxytune.curve", "[]"))
    told = trial.value if trial.value is not None and math.isfinite(trial.value) else None
    state = NAMES.get(trial.state, TrialState.FAILED)
    if trial.state is State.COMPLETE and told is None:
        state = TrialState.DIVERGED
    return {
        "number": trial.number,
        "state": state if trial.state.is_finished() else TrialState.RUNNING,
        "value": _last_loss(curve) if trial.state is not State.COMPLETE else told,
        "seed": attributes.get("proxytune.seed"),
        "pack": attributes.get("proxytune.pack"),
        "started": _milliseconds(trial.datetime_start),
        "finished": _milliseconds(trial.datetime_complete),
        **{name: curve[-1][name] if curve else 0 for name in TOTALS},
        **trial.params,
        **_curve(curve),
        **{f"validation_loss@{s}": loss for s, loss in trial.intermediate_values.items()},
    }


def _mlflow_row(client: MlflowClient, run: Run) -> Row:
    tags, metrics = run.data.tags, run.data.metrics
    points = [
        (f"{name}@{point.step}", point.value)
        for name in OF_CURVE
        for point in client.get_metric_history(run.info.run_id, name)
    ]
    return {
        "number": int(tags["proxytune.trial"]),
        "state": tags.get("proxytune.state"),
        "value": metrics.get("final_validation_loss"),
        "seed": int(tags["seed"]),
        "pack": tags.get("pack"),
        "started": run.info.start_time,
        "finished": run.info.end_time,
        **{name: metrics.get(name) for name in (*TOTALS, "flops")},
        **{name: float(value) for name, value in run.data.params.items()},
        **{f"{name} again": value for name, value in _again(points)},
        **dict(points),
    }


def _again(points: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Points that are there a second time: no other store has such a name."""
    return [point for place, point in enumerate(points) if point[0] in dict(points[:place])]


def _parquet_row(row: Row, curve: list[Row]) -> Row:
    kept = ("number", "state", "value", "seed", "pack", *TOTALS, "flops")
    return {
        **{name: row[name] for name in (*kept, *BaseHyperparameters.model_fields)},
        "started": _milliseconds(row["started"]),
        "finished": _milliseconds(row["finished"]),
        **_curve(curve),
    }


def _last_loss(curve: list[Row]) -> float | None:
    """Of a trial that did not train to its end, and has no value in Optuna."""
    return curve[-1]["validation_loss"] if curve else None


def _curve(evaluations: list[Row]) -> Row:
    return {
        f"{name}@{evaluation['step']}": evaluation[name]
        for evaluation in evaluations
        for name in OF_CURVE
        if evaluation[name] is not None
    }


def _milliseconds(when: datetime | None) -> int | None:
    """As MLflow keeps it; Optuna's is local time without saying so."""
    return None if when is None else round(when.timestamp() * 1000)
