"""A study in Optuna's storage, the one source of truth for its definition and results."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import optuna
from optuna.storages import BaseStorage

from proxytune.config.load import validate
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.selection import Candidate, Selection
from proxytune.packs.trial import TrialRecord, best_of
from proxytune.search.report import StudyFlops, StudyReport, StudyState, StudySummary
from proxytune.search.source import PACK_SIZE, Observer, SearchSource, pack_size_of
from proxytune.search.trials import PACK, record_of
from proxytune.storage.lease import Lease

SPEC = "proxytune.spec"
SELECTION = "proxytune.selection"
COMPLETED = "proxytune.completed"


class Study:
    """A study in storage. Raises InputError if it does not exist, or a newer program made it."""

    def __init__(self, storage: BaseStorage, name: str) -> None:
        self._storage = storage
        try:
            self._optuna = optuna.load_study(study_name=name, storage=storage)
            stored = self._optuna.user_attrs[SPEC]
        except KeyError:
            known = ", ".join(study_names(storage)) or "none so far"
            raise InputError.of_field(
                "study", name, f"no such study; there are: {known}"
            ) from None
        self.spec = validate(StudySpec, json.loads(stored), f"study {name!r}")

    @classmethod
    def create(cls, storage: BaseStorage, spec: StudySpec) -> Self:
        """Adds a study. Raises InputError if a different one of that name exists."""
        if spec.name not in study_names(storage):
            made = optuna.create_study(
                study_name=spec.name, storage=storage, direction="minimize", load_if_exists=True
            )
            # A new one, one whose creator was killed right here, or one that is not ours.
            if made.user_attrs or made.get_trials(deepcopy=False):
                raise InputError.of_field(
                    "name", spec.name, "belongs to another program's study; choose another name"
                )
            made.set_user_attr(SPEC, spec.model_dump_json())
        study = cls(storage, spec.name)
        if study.spec != spec:
            raise InputError.of_field(
                "name",
                spec.name,
                "a study of this name exists with another definition; choose another name, or "
                f"delete it with: proxytune study delete {spec.name}",
            )
        return study

    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.name

    @property
    def selection(self) -> Selection | None:
        """The outcome, once the study is complete."""
        stored = self._optuna.user_attrs.get(SELECTION)
        if stored is None:
            return None
        candidates = [Candidate.model_validate(candidate) for candidate in stored["candidates"]]
        return Selection.of(candidates, stored.get("tokens", 0))

    @property
    def completed(self) -> datetime | None:
        """When it was completed, UTC."""
        when = self._optuna.user_attrs.get(COMPLETED)
        return None if when is None else datetime.fromisoformat(when)

    @property
    def pack_size(self) -> int | None:
        """Trials in its next packs; None as long as nobody has chosen."""
        return pack_size_of(self._optuna, self.spec)

    def choose_pack_size(self, size: int) -> None:
        """Sets the pack size; only packs that do not fit into memory lower it later."""
        self._optuna.set_user_attr(PACK_SIZE, size)

    def complete(self, selection: Selection) -> None:
        """Stores the outcome, without what can be computed from the candidates."""
        stored = selection.model_dump(mode="json", include={"candidates", "tokens"})
        self._optuna.set_user_attr(SELECTION, stored)
        self._optuna.set_user_attr(COMPLETED, datetime.now(UTC).isoformat())

    def trials(self) -> list[TrialRecord]:
        """All trials by number, from Optuna alone."""
        trials = self._optuna.get_trials(deepcopy=False)
        return [record_of(trial, self.spec) for trial in trials if PACK in trial.user_attrs]

    def finished(self) -> list[int]:
        """Numbers of the trials that will not change any more."""
        trials = self._optuna.get_trials(deepcopy=False)
        return [t.number for t in trials if t.state.is_finished() and PACK in t.user_attrs]

    def records(self, numbers: Sequence[int]) -> list[TrialRecord]:
        """These trials, in this order."""
        trials = self._optuna.get_trials(deepcopy=False)
        return [record_of(trials[number], self.spec) for number in numbers]

    def flops(self, trials: Sequence[TrialRecord]) -> StudyFlops:
        """FLOPs of training `trials`, and of confirming the best on fresh seeds."""
        fresh = self.selection.tokens if self.selection else 0
        return StudyFlops(
            trials=sum(trial.flops for trial in trials),
            confirmation=fresh * self.spec.proxy.training_flops_per_token(),
        )

    def report(self) -> StudyReport:
        """Everything known about the study at this moment."""
        trials = self.trials()
        return StudyReport(
            study=self.name,
            state=self.state,
            spec=self.spec,
            pack_size=self.pack_size,
            flops=self.flops(trials),
            selection=self.selection,
            trials=tuple(trial.result for trial in trials),
        )

    def summary(self) -> StudySummary:
        """The same in one line."""
        trials, proxy = self.trials(), self.spec.proxy
        best = best_of(trials)
        return StudySummary(
            study=self.name,
            state=self.state,
            trials=self.spec.search.trials,
            finished=sum(trial.state.finished for trial in trials),
            best=best and best.value,
            parameterization=self.spec.parameterization.name,
            proxy=f"width {proxy.d_model}, depth {proxy.n_layers}, repeat {proxy.repeat}",
        )

    @property
    def state(self) -> StudyState:
        """created, unfinished (trials are missing or not confirmed) or complete."""
        if self.completed is not None:
            return "complete"
        return "unfinished" if self._optuna.get_trials(deepcopy=False) else "created"

    def lease(self) -> Lease:
        """The right to run it, and to change it."""
        return Lease(self._storage, self.name)

    def source(self, tokens: Path, checkpoints: Path, observe: Observer) -> SearchSource:
        """The source of this study's packs, for an executor."""
        return SearchSource(self._optuna, self._storage, self.spec, tokens, checkpoints, observe)


def study_names(storage: BaseStorage) -> list[str]:
    """Names of proxytune's studies in the storage."""
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return sorted(s.study_name for s in summaries if SPEC in s.user_attrs)


def delete_study(storage: BaseStorage, name: str) -> None:
    """Removes a study and its trials."""
    optuna.delete_study(study_name=name, storage=storage)
