"""MLflow: one experiment per study, with a parent run for the study and a child run per trial."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

# MLflow reads these when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server's URL, printed to stdout for each run.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _tracking_store_registry
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from sqlalchemy.exc import SQLAlchemyError

from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.errors import InputError, RunError, masked
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.records.database import make_database

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.ERROR)

TRIAL, STATE, KIND = "proxytune.trial", "proxytune.state", "proxytune.kind"
"""Tags of runs; KIND is study, trial or transfer."""

LOCAL = ("sqlite:", "file:")
"""The beginnings of URIs of stores on this machine."""


def require_tracking_uri(uri: str) -> None:
    """Refuses an address that no store of MLflow or its plugins takes, without connecting."""
    try:
        _tracking_store_registry.get_store_builder(uri)
    except MlflowException:
        raise InputError.of_field(
            "--tracking-uri",
            masked(uri),
            "must be an address of MLflow, such as http://HOST:PORT, postgresql://USER@HOST/NAME "
            "or sqlite:///FILE",
        ) from None


class MlflowSink:
    """A tracking store (a RecordSink). It is first used when it is needed."""

    # A small number, so that a slow store still shows progress.
    batch = 16

    def __init__(self, tracking_uri: str, artifacts: Path | None) -> None:
        """`artifacts` is the folder for artifacts of a local store; a server has its own."""
        self._uri, self._artifacts = tracking_uri, artifacts
        self.remote = not tracking_uri.startswith(LOCAL)
        self._study: StudySpec | None = None
        self._experiment = self._parent = ""
        self._recorded: dict[int, str] = {}

    @cached_property
    def _client(self) -> MlflowClient:
        make_database(self._uri)
        return MlflowClient(tracking_uri=self._uri)

    def __str__(self) -> str:
        return f"MLflow at {masked(self._uri)}"

    def open(self, study: StudySpec) -> Collection[int]:
        """Finds or makes the experiment and parent run; returns the trials that are recorded."""
        self._study, self._recorded = study, {}
        with self._reachable():
            self._experiment = self._find_experiment(study.name) or self._make_experiment(
                study.name
            )
            self._parent = self._find_parent() or self._make_run(study.name, "study")
            self._describe_study(study)
            self._client.update_run(self._parent, status="RUNNING")
            for run in self._runs("trial"):
                number = int(run.data.tags[TRIAL])
                if run.info.status in ("FINISHED", "FAILED") and number not in self._recorded:
                    self._recorded[number] = run.info.run_id
                else:
                    # Half written when a driver was killed; `add` writes it again.
                    self._client.delete_run(run.info.run_id)
        return set(self._recorded)

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Writes a run for each trial that has none. A finished trial never changes."""
        with self._reachable():
            for trial in trials:
                if trial.number not in self._recorded:
                    self._recorded[trial.number] = self._make_trial(trial)

    def close(self, *, complete: bool) -> None:
        """Ends the parent run."""
        with self._reachable():
            status = "FINISHED" if complete else "KILLED"
            self._client.set_terminated(self._parent, status=status)

    def delete(self, study: str) -> None:
        """Deletes the experiment and frees its name, which MLflow would keep."""
        with self._reachable():
            experiment = self._find_experiment(study)
            if experiment is not None:
                self._client.rename_experiment(experiment, f"{study} (deleted, {experiment})")
                self._client.delete_experiment(experiment)

    def log_transfer(
        self,
        study: str,
        name: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[tuple[int, float]]],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> None:
        """Adds a run for one transfer of a study that is recorded already, by any process."""
        with self._reachable():
            self._experiment = self._find_experiment(study) or ""
            self._parent = (self._experiment and self._find_parent()) or ""
            if not self._parent:
                raise RunError(
                    f"{self} has no study {study!r}; record it with: proxytune study sync {study}"
                )
            run = self._make_run(f"transfer-{name}", "transfer", tags, self._parent)
            points = [(key, value, step) for key, c in curves.items() for step, value in c]
            points += [(key, value, 0) for key, value in metrics.items()]
            self._finish_run(run, params, points, files)

    def log_report(
        self,
        kind: str,
        name: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> None:
        """Adds a run for a report that belongs to no study, to the experiment of its kind."""
        with self._reachable():
            # No study can have this name, since it has a space.
            title = f"proxytune {kind}"
            self._experiment = self._find_experiment(title) or self._make_experiment(title)
            run = self._make_run(name, kind, tags)
            # MLflow allows no '=' in a metric's name; labels of parameterizations have one.
            points = [(key.replace("=", " "), value, 0) for key, value in metrics.items()]
            self._finish_run(run, params, points, files)

    def _find_experiment(self, name: str) -> str | None:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _make_experiment(self, name: str) -> str:
        folder = self._artifacts
        location = None if folder is None else (folder / name).absolute().as_uri()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _find_parent(self) -> str | None:
        parents = self._runs("study")
        return str(parents[0].info.run_id) if parents else None

    def _describe_study(self, study: StudySpec) -> None:
        """Writes tags, parameters and the spec of the parent run; again, with the same result."""
        tags = [RunTag(name, value) for name, value in _shape_tags(study).items()]
        self._client.log_batch(self._parent, tags=tags)
        essentials = {
            **{f"training.{name}": v for name, v in study.training.model_dump().items()},
            **{f"search.{k}": v for k, v in study.search.model_dump(exclude={"space"}).items()},
            "seed": study.seed,
        }
        self._log(self._parent, essentials, [], _now())
        self._client.log_dict(self._parent, study.model_dump(mode="json"), "study.json")

    def _make_trial(self, trial: TrialRecord) -> str:
        assert self._study is not None
        tags = _shape_tags(self._study) | {
            TRIAL: str(trial.number),
            STATE: str(trial.state),
            "pack": trial.pack,
            "seed": str(trial.seed),
        }
        began, ended = _milliseconds(trial.started), _milliseconds(trial.finished)
        run = self._make_run(f"trial-{trial.number:05d}", "trial", tags, self._parent, began)
        points: list[tuple[str, float, int]] = [
            (name, value, evaluation.step)
            for evaluation in trial.curve
            for name in ("train_loss", "validation_loss", "grad_norm", "lr_factor")
            if (value := getattr(evaluation, name)) is not None
        ]
        totals = {"tokens": trial.tokens, "flops": trial.flops, "seconds": trial.seconds}
        if trial.value is not None:
            totals["final_validation_loss"] = trial.value
        # Only at step 0: the UI then compares trials with bars, not with single points.
        points += [(name, float(value), 0) for name, value in totals.items()]
        self._log(run, trial.hyperparameters.model_dump(), points, ended)
        status = "FAILED" if trial.state is TrialState.FAILED else "FINISHED"
        self._client.set_terminated(run, status=status, end_time=ended)
        return run

    def _make_run(
        self,
        name: str,
        kind: str,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        began: int | None = None,
    ) -> str:
        of_parent = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        all_tags = {MLFLOW_RUN_NAME: name, KIND: kind, **(tags or {}), **of_parent}
        run = self._client.create_run(self._experiment, tags=all_tags, start_time=began)
        return str(run.info.run_id)

    def _log(
        self,
        run: str,
        params: Mapping[str, Any],
        points: Sequence[tuple[str, float, int]],
        timestamp: int,
    ) -> None:
        self._client.log_batch(
            run,
            metrics=[Metric(name, value, timestamp, step) for name, value, step in points],
            params=[Param(name, str(value)) for name, value in params.items()],
        )

    def _finish_run(
        self,
        run: str,
        params: Mapping[str, Any],
        points: Sequence[tuple[str, float, int]],
        files: Sequence[Path],
    ) -> None:
        """Logs everything of a run in one go, and ends it."""
        self._log(run, params, points, _now())
        for file in files:
            self._client.log_artifact(run, str(file))
        self._client.set_terminated(run)

    def _runs(self, kind: str) -> list[Run]:
        """All runs of one kind in the experiment."""
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`{KIND}` = '{kind}'",
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Turns MLflow's errors into one line without a password."""
        try:
            yield
        except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
            # ImportError means that the driver of that database is not installed.
            reason = masked(str(error).strip().splitlines()[0])
            raise RunError(f"{self} failed: {reason[:300]}") from None


def _shape_tags(study: StudySpec) -> dict[str, str]:
    shape: Shape = study.proxy
    tags = {name: str(value) for name, value in shape.model_dump().items()}
    return tags | {
        "repeat": str(shape.repeat),
        "parameterization": study.parameterization.name,
        "kv_rule": study.parameterization.kv_rule,
    }


def _milliseconds(when: datetime | None) -> int:
    return _now() if when is None else round(when.timestamp() * 1000)


def _now() -> int:
    return round(datetime.now().timestamp() * 1000)
