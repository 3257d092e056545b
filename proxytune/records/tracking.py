"""A tracking store of MLflow: experiments by name, and runs of several kinds in them."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
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
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from sqlalchemy.exc import SQLAlchemyError

from proxytune.errors import RunError, masked, masked_url
from proxytune.records.database import artifacts_of, database_file, make_database
from proxytune.records.tags import KIND

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.ERROR)

LOCAL = ("sqlite:", "file:")
"""The beginnings of URIs of stores on this machine."""

Point = tuple[str, float, int]
"""A metric's name, its value and its step."""


class TrackingStore:
    """A tracking store. It is first used when it is needed."""

    def __init__(self, tracking_uri: str) -> None:
        """Artifacts of a store in a file are beside it; a server has its own."""
        self._uri = tracking_uri
        self.remote = not tracking_uri.startswith(LOCAL)

    def __str__(self) -> str:
        return f"MLflow at {masked_url(self._uri)}"

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's own client."""
        make_database(self._uri)
        return MlflowClient(tracking_uri=self._uri)

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Turns MLflow's errors into a RunError of one line, without a password."""
        try:
            yield
        except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
            # ImportError means that the driver of that database is not installed.
            reason = masked(str(error).strip().splitlines()[0], self._uri)
            raise RunError(f"{self} failed: {reason[:300]}") from None

    def find_experiment(self, name: str) -> str | None:
        """Its number; one that was deleted is restored."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def experiment(self, name: str) -> str:
        """The number of the experiment of that name, which is made if need be."""
        return self.find_experiment(name) or self._make_experiment(name)

    def _make_experiment(self, name: str) -> str:
        file = database_file(self._uri)
        location = None if file is None else (artifacts_of(file) / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=location))

    def remove_artifacts(self, name: str) -> None:
        """Removes an experiment's artifacts, where they are beside a store in a file."""
        file = database_file(self._uri)
        if file is not None:
            shutil.rmtree(artifacts_of(file) / name, ignore_errors=True)

    def study_run(self, experiment: str) -> str | None:
        """The run of the study itself, which is the parent of the others."""
        parents = self.runs(experiment, "study")
        return str(parents[0].info.run_id) if parents else None

    def runs(self, experiment: str, kind: str) -> list[Run]:
        """All runs of one kind in an experiment."""
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [experiment],
                filter_string=f"tags.`{KIND}` = '{kind}'",
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def make_run(
        self,
        experiment: str,
        name: str,
        kind: str,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        began: int | None = None,
    ) -> str:
        """A new run; `began` is in milliseconds since 1970."""
        of_parent = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        all_tags = {MLFLOW_RUN_NAME: name, KIND: kind, **(tags or {}), **of_parent}
        run = self.client.create_run(experiment, tags=all_tags, start_time=began)
        return str(run.info.run_id)

    def log(
        self,
        run: str,
        *,
        params: Mapping[str, Any] | None = None,
        points: Sequence[Point] = (),
        tags: Mapping[str, str] | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Adds to a run; all metrics have the same timestamp, by default now."""
        when = milliseconds(None) if timestamp is None else timestamp
        self.client.log_batch(
            run,
            metrics=[Metric(name, value, when, step) for name, value, step in points],
            params=[Param(name, str(value)) for name, value in (params or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )

    def finish_run(
        self,
        run: str,
        params: Mapping[str, Any],
        points: Sequence[Point],
        files: Sequence[Path] = (),
    ) -> None:
        """Logs everything of a run in one go, and ends it."""
        self.log(run, params=params, points=points)
        for file in files:
            self.client.log_artifact(run, str(file))
        self.client.set_terminated(run)


def milliseconds(when: datetime | None) -> int:
    """Since 1970; None is now."""
    return round((when or datetime.now()).timestamp() * 1000)
