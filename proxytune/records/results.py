"""What MLflow has of results: a study's outcome, transfers, and reports that stand alone."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from proxytune.errors import RunError
from proxytune.packs.selection import Candidate, Selection
from proxytune.packs.trial import TrialRecord
from proxytune.records.tags import CHOSEN, OUTCOME, TRIAL
from proxytune.records.tracking import Point, TrackingStore


class ResultLog:
    """Adds results to a tracking store. Every method raises RunError if that fails."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store

    def has_outcome(self, study: str, selection: Selection) -> bool:
        """Whether this outcome of a study is recorded."""
        with self._store.reachable():
            _, parent = self._found(study)
            tags = self._store.client.get_run(parent).data.tags
            return bool(tags.get(OUTCOME) == _digest(selection))

    def log_outcome(
        self,
        study: str,
        selection: Selection,
        trials: Sequence[TrialRecord],
        *,
        note: str,
        files: Sequence[Path],
    ) -> None:
        """Adds the outcome of a study to its run; an earlier one of it is replaced.

        The study's run gets the lowest loss so far by trial, the chosen point with its loss and
        its intervals, a description, which is Markdown, and files. The chosen trial's run gets a
        tag. What trained on fresh seeds are runs of their own.
        """
        with self._store.reachable():
            experiment, parent = self._found(study)
            client = self._store.client
            chosen = self._mark_chosen(experiment, selection.trial)
            for run in self._store.runs(experiment, "confirmation"):
                client.delete_run(run.info.run_id)
            for candidate in selection.candidates:
                self._confirm(experiment, parent, candidate, selection)
            for file in files:
                client.log_artifact(parent, str(file))
            points = [*_lowest(trials), *_found_points(selection)]
            self._store.log(parent, points=points)
            page = f"#/experiments/{experiment}/runs"
            links = [f"[{file.name}]({page}/{parent}/artifacts/{file.name})" for file in files]
            links += [f"[the run of the chosen trial]({page}/{chosen})"] if chosen else []
            text = "\n\n".join([note, " · ".join(links)])
            client.set_experiment_tag(experiment, MLFLOW_RUN_NOTE, text)
            self._store.log(parent, tags={MLFLOW_RUN_NOTE: text, OUTCOME: _digest(selection)})

    def _found(self, study: str) -> tuple[str, str]:
        """A study's experiment and its parent run. Raises RunError if the store has none."""
        experiment = self._store.find_experiment(study)
        parent = experiment and self._store.study_run(experiment)
        if not experiment or not parent:
            raise RunError(
                f"{self._store} has no study {study!r}; "
                f"record it with: proxytune study sync {study}"
            )
        return experiment, parent

    def _mark_chosen(self, experiment: str, number: int | None) -> str | None:
        """Tags the run of the chosen trial; None for a point between trials."""
        found = None
        for run in self._store.runs(experiment, "trial"):
            is_chosen = run.data.tags[TRIAL] == str(number)
            if is_chosen:
                found = str(run.info.run_id)
                self._store.client.set_tag(found, CHOSEN, "true")
            elif CHOSEN in run.data.tags:
                self._store.client.delete_tag(run.info.run_id, CHOSEN)
        return found

    def _confirm(
        self, experiment: str, parent: str, candidate: Candidate, selection: Selection
    ) -> None:
        """A run for each fresh seed that a candidate trained on."""
        what = candidate.origin if candidate.number is None else f"{candidate.number:05d}"
        tags = {} if candidate.number is None else {TRIAL: str(candidate.number)}
        if candidate is selection.best and selection.trial is None:
            tags |= {CHOSEN: "true"}
        hyperparameters = candidate.hyperparameters.model_dump()
        for seed, value in zip(selection.seeds, candidate.confirmed, strict=False):
            run = self._store.make_run(
                experiment,
                f"confirmation-{what}-seed-{seed}",
                "confirmation",
                tags | {"seed": str(seed), "origin": candidate.origin},
                parent,
            )
            points = [] if value is None else [("confirmed_validation_loss", value, 0)]
            self._store.finish_run(run, hyperparameters, points)

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
        with self._store.reachable():
            experiment, parent = self._found(study)
            run = self._store.make_run(experiment, f"transfer-{name}", "transfer", tags, parent)
            points = [(key, value, step) for key, c in curves.items() for step, value in c]
            points += [(key, value, 0) for key, value in metrics.items()]
            self._store.finish_run(run, params, points, files)

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
        with self._store.reachable():
            # No study can have this name, since it has a space.
            experiment = self._store.experiment(f"proxytune {kind}")
            run = self._store.make_run(experiment, name, kind, tags)
            # MLflow allows no '=' in a metric's name; labels of parameterizations have one.
            points = [(key.replace("=", " "), value, 0) for key, value in metrics.items()]
            self._store.finish_run(run, params, points, files)


def _digest(selection: Selection) -> str:
    return hashlib.sha256(selection.model_dump_json().encode()).hexdigest()


def _lowest(trials: Sequence[TrialRecord]) -> list[Point]:
    """The lowest loss after each trial that lowered it, and after the last."""
    points: list[Point] = []
    lowest = None
    for trial in trials:
        if trial.value is not None and (lowest is None or trial.value < lowest):
            lowest = trial.value
            points.append(("best_validation_loss", lowest, trial.number))
    if lowest is not None and points[-1][2] != trials[-1].number:
        points.append(("best_validation_loss", lowest, trials[-1].number))
    return points


def _found_points(selection: Selection) -> list[Point]:
    """The chosen point with its loss, and where the optimum may lie."""
    points: list[Point] = [("chosen_validation_loss", selection.validation_loss, 0)]
    if selection.standard_error is not None:
        points.append(("chosen_standard_error", selection.standard_error, 0))
    for name, value in selection.point.model_dump().items():
        points.append((f"chosen.{name}", value, 0))
    for name, (low, high) in selection.interval.items():
        points += [(f"interval.{name}.low", low, 0), (f"interval.{name}.high", high, 0)]
    return points
