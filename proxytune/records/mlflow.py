"""MLflow: one experiment per study, with a parent run for the study and a child run per trial."""

import re
from collections.abc import Collection, Sequence

from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.records.tags import REASON, STATE, TRIAL
from proxytune.records.tracking import Point, TrackingStore, milliseconds
from proxytune.records.view import VIEW_TAG, study_view

CURVES = ("train_loss", "validation_loss", "bits_per_byte", "grad_norm", "lr_factor")
"""Figures of an evaluation that a trial's run has."""
LONGEST_TAG = 5000
"""Characters of a tag that every version of MLflow takes."""


class MlflowSink:
    """A tracking store of MLflow as a RecordSink. It is first used when it is needed."""

    # A small number, so that a slow store still shows progress.
    batch = 16

    def __init__(self, tracking_uri: str) -> None:
        """Artifacts of a store in a file are beside it; a server has its own."""
        self._store = TrackingStore(tracking_uri)
        self.remote = self._store.remote
        self._study: StudySpec | None = None
        self._experiment = self._parent = ""
        self._recorded: dict[int, str] = {}

    def __str__(self) -> str:
        return str(self._store)

    def open(self, study: StudySpec) -> Collection[int]:
        """Finds or makes the experiment and parent run; returns the trials that are recorded."""
        self._study, self._recorded = study, {}
        store = self._store
        with store.reachable():
            self._experiment = store.experiment(study.name)
            self._parent = store.study_run(self._experiment) or store.make_run(
                self._experiment, study.name, "study"
            )
            self._describe_study(study)
            store.client.update_run(self._parent, status="RUNNING")
            for run in store.runs(self._experiment, "trial"):
                number = int(run.data.tags[TRIAL])
                if run.info.status in ("FINISHED", "FAILED") and number not in self._recorded:
                    self._recorded[number] = run.info.run_id
                else:
                    # Half written when a driver was killed; `add` writes it again.
                    store.client.delete_run(run.info.run_id)
        return set(self._recorded)

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Writes a run for each trial that has none. A finished trial never changes."""
        with self._store.reachable():
            for trial in trials:
                if trial.number not in self._recorded:
                    self._recorded[trial.number] = self._make_trial(trial)

    def close(self, *, complete: bool) -> None:
        """Ends the parent run."""
        with self._store.reachable():
            status = "FINISHED" if complete else "KILLED"
            self._store.client.set_terminated(self._parent, status=status)

    def delete(self, study: str) -> None:
        """Deletes the experiment and frees its name, which MLflow would keep.

        Artifacts beside a store in a file are removed, too; a server keeps its own.
        """
        with self._store.reachable():
            experiment = self._store.find_experiment(study)
            if experiment is not None:
                client = self._store.client
                client.rename_experiment(experiment, f"{study} (deleted, {experiment})")
                client.delete_experiment(experiment)
                self._store.remove_artifacts(study)

    def _describe_study(self, study: StudySpec) -> None:
        """Writes tags, parameters and the spec of the parent run; again, with the same result."""
        essentials = {
            **{f"training.{name}": v for name, v in study.training.model_dump().items()},
            **{f"search.{k}": v for k, v in study.search.model_dump(exclude={"space"}).items()},
            **{f"space.{name}": entry.text for name, entry in study.search.space.items()},
            "seed": study.seed,
        }
        client = self._store.client
        # MLflow keeps a parameter as it was; what has grown since is a tag of the same name.
        kept = client.get_run(self._parent).data.params
        new = {name: value for name, value in essentials.items() if name not in kept}
        others = {
            n: str(value)
            for n, value in essentials.items()
            if kept.get(n, str(value)) != str(value)
        }
        self._store.log(self._parent, params=new, tags=_shape_tags(study) | others)
        client.log_dict(self._parent, study.model_dump(mode="json"), "study.json")
        if VIEW_TAG not in client.get_experiment(self._experiment).tags:
            # One that is there may have been changed by whoever looks at it.
            view = study_view(study)
            client.set_experiment_tag(self._experiment, VIEW_TAG, view)

    def _make_trial(self, trial: TrialRecord) -> str:
        assert self._study is not None
        tags = _shape_tags(self._study) | {
            TRIAL: str(trial.number),
            STATE: str(trial.state),
            "pack": trial.pack,
            "seed": str(trial.seed),
        }
        if trial.reason is not None:
            tags[REASON] = trial.reason[:LONGEST_TAG]
        began, ended = milliseconds(trial.started), milliseconds(trial.finished)
        run = self._store.make_run(
            self._experiment, f"trial-{trial.number:05d}", "trial", tags, self._parent, began
        )
        hyperparameters = trial.hyperparameters.model_dump()
        self._store.log(run, params=hyperparameters, points=_points(trial), timestamp=ended)
        status = "FAILED" if trial.state is TrialState.FAILED else "FINISHED"
        self._store.client.set_terminated(run, status=status, end_time=ended)
        return run


def _points(trial: TrialRecord) -> list[Point]:
    """A trial's curves and totals."""
    points: list[Point] = [
        (name, value, evaluation.step)
        for evaluation in trial.curve
        for name in CURVES
        if (value := getattr(evaluation, name)) is not None
    ]
    points += [
        (_metric_name(name), value, evaluation.step)
        for evaluation in trial.curve
        for name, value in evaluation.others.items()
    ]
    totals = {"tokens": trial.tokens, "flops": trial.flops, "seconds": trial.seconds}
    if trial.value is not None:
        totals["final_validation_loss"] = trial.value
    # Only at step 0: the UI then compares trials with bars, not with single points.
    return points + [(name, float(value), 0) for name, value in totals.items()]


def _shape_tags(study: StudySpec) -> dict[str, str]:
    shape: Shape = study.proxy
    tags = {name: str(value) for name, value in shape.model_dump().items()}
    return tags | {
        "repeat": str(shape.repeat),
        "parameterization": study.parameterization.name,
        "kv_rule": study.parameterization.kv_rule,
    }


def _metric_name(name: str) -> str:
    """A trainer's own name for a figure, below `trainer/` and in letters that MLflow allows."""
    return "trainer/" + re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)[:200]
