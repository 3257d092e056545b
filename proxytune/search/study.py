"""A study in Optuna's storage, the one source of truth for its definition and results."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import optuna
from optuna.storages import BaseStorage

from proxytune.config.load import validate
from proxytune.config.parameterization import RULES_VERSION, without_ignored
from proxytune.config.search import Point, SpaceEntry
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.corpus import CorpusFacts
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialRecord, best_of
from proxytune.search.growth import grown, how_to_grow
from proxytune.search.queue import START, asked, enqueue, holds, waiting
from proxytune.search.report import StudyFlops, StudyReport, StudyState, StudySummary
from proxytune.search.source import PACK_SIZE, Observer, SearchSource, pack_size_of
from proxytune.search.trials import PACK, record_of
from proxytune.storage.lease import Lease

SPEC = "proxytune.spec"
SELECTION = "proxytune.selection"
CORPUS = "proxytune.corpus"
COMPILING = "proxytune.compiling"
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
        self.spec = validate(StudySpec, _as_meant(json.loads(stored)), f"study {name!r}")

    @classmethod
    def create(cls, storage: BaseStorage, spec: StudySpec, start: Sequence[Point] = ()) -> Self:
        """Adds a study, which tries `start` after its own start of the space.

        One that is there already may train elsewhere from now on: its `execution` is that of
        `spec`. Raises InputError if it differs in anything else.
        """
        if spec.name not in study_names(storage):
            made = optuna.create_study(
                study_name=spec.name, storage=storage, direction="minimize", load_if_exists=True
            )
            # A new one, one whose creator was killed right here, or one that is not ours.
            if made.user_attrs.keys() - {START} or made.get_trials(deepcopy=False):
                raise InputError.of_field(
                    "name", spec.name, "belongs to another program's study; choose another name"
                )
            made.set_user_attr(START, list(start))
            made.set_user_attr(SPEC, spec.model_dump_json())
        study = cls(storage, spec.name)
        given = _as_begun(spec, study.spec)
        elsewhere = study.spec.model_copy(update={"execution": given.execution})
        if elsewhere != given:
            older = study.spec.parameterization.rules_version != RULES_VERSION
            rules = ", by an older version of the rules" if older else ""
            raise InputError.of_field(
                "name",
                spec.name,
                f"a study of this name exists with another definition{rules}; "
                f"{how_to_grow(study.spec, given)}",
            )
        if elsewhere != study.spec:
            with study.lease():
                # Another process may have extended it until now.
                study = cls(storage, spec.name)
                study._define(study.spec.model_copy(update={"execution": given.execution}))
        return study

    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.name

    @property
    def selection(self) -> Selection | None:
        """The outcome, once the study is complete."""
        stored = self._optuna.user_attrs.get(SELECTION)
        return None if stored is None else Selection.read(stored, self.spec.seed)

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

    @property
    def compiling(self) -> bool | None:
        """Whether its packs train through torch.compile; None as long as that is not decided."""
        asked = self.spec.execution.compile
        decided: bool | None = self._optuna.user_attrs.get(COMPILING)
        if self.spec.trainer is not None:
            return False
        return decided if asked == "auto" else asked == "always"

    def choose_compiling(self, compiles: bool) -> None:
        """Decides it for good."""
        self._optuna.set_user_attr(COMPILING, compiles)

    @property
    def settled(self) -> StudySpec:
        """The spec that packs are made of: what it leaves to auto is decided there."""
        chosen = {"compile": "always" if self.compiling else "never"}
        execution = self.spec.execution.model_copy(update=chosen)
        return self.spec.model_copy(update={"execution": execution})

    @property
    def corpus(self) -> CorpusFacts | None:
        """What its trials were trained on; None as long as there are none."""
        stored = self._optuna.user_attrs.get(CORPUS)
        return None if stored is None else CorpusFacts.model_validate(stored)

    def require_corpus(self, facts: CorpusFacts) -> None:
        """Notes what it trains on, or raises InputError if that was something else before."""
        before = self.corpus
        if before is None:
            self._optuna.set_user_attr(CORPUS, facts.model_dump(mode="json"))
        elif before.digest != facts.digest:
            data = self.spec.data
            raise InputError.of_field(
                f"data.{data.source or 'text'}",
                list(getattr(data, data.source)) if data.source else "the standard library",
                f"has changed since study {self.name!r} began: {facts.text} now, {before.text} "
                "then; losses on both cannot be compared; bring the old files back, or create a "
                "study of another name",
            )

    def extend(self, trials: int, space: Mapping[str, SpaceEntry] | None = None) -> None:
        """So many trials more, and perhaps a wider space; who calls this holds the lease.

        Raises InputError for a space that is not wider.
        """
        self._redefine(grown(self.spec, trials, space))

    def enqueue(self, points: Sequence[Point]) -> None:
        """Points to try next, before what the sampler suggests; who calls this holds the lease.

        Where no trial is left, as many trials more. A point that waits already, or was tried, is
        not added again. Raises InputError for a point outside of the space.
        """
        new = [point for point in points if not holds(self._optuna, point)]
        for point in new:
            for name, reason in self.spec.search.misfits(point):
                raise InputError.of_field(name, point[name], reason)
        missing = asked(self._optuna) + len(self.waiting) + len(new) - self.spec.search.trials
        if new:
            # First, so that a process that is killed in here leaves no point that nobody asks for.
            self._redefine(grown(self.spec, max(missing, 0)))
            enqueue(self._optuna, new)

    def _redefine(self, spec: StudySpec) -> None:
        """Another definition; a complete study becomes unfinished."""
        # In this order: killed in between, the study selects again, and knows its trials.
        if self.completed is not None:
            self._optuna.set_user_attr(COMPLETED, None)
        if self.selection is not None:
            self._optuna.set_user_attr(SELECTION, None)
        if spec != self.spec:
            self._define(spec)

    def _define(self, spec: StudySpec) -> None:
        self._optuna.set_user_attr(SPEC, spec.model_dump_json())
        self.spec = spec

    @property
    def waiting(self) -> tuple[Point, ...]:
        """Points that are tried next."""
        return waiting(self._optuna)

    def complete(self, selection: Selection) -> None:
        """Stores the outcome."""
        self._optuna.set_user_attr(SELECTION, selection.stored())
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
            corpus=self.corpus,
            waiting=self.waiting,
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
        return "unfinished" if asked(self._optuna) else "created"

    def lease(self) -> Lease:
        """The right to run it, and to change it."""
        return Lease(self._storage, self.name)

    def source(self, tokens: Path, checkpoints: Path, observe: Observer) -> SearchSource:
        """The source of this study's packs, for an executor."""
        return SearchSource(
            self._optuna, self._storage, self.settled, tokens, checkpoints, observe
        )


def _as_meant(stored: dict[str, object]) -> dict[str, object]:
    """The definition of a study, also of one from before rules had versions."""
    rules = stored.get("parameterization")
    if not isinstance(rules, dict) or "rules_version" in rules:
        return stored
    return stored | {"parameterization": without_ignored(rules)}


def _as_begun(spec: StudySpec, stored: StudySpec) -> StudySpec:
    """A definition that names no sampler, as of a study from when tpe was the default."""
    search = spec.search
    if "sampler" in search.model_fields_set or stored.search.sampler != "tpe":
        return spec
    return spec.model_copy(update={"search": search.model_copy(update={"sampler": "tpe"})})


def study_names(storage: BaseStorage) -> list[str]:
    """Names of proxytune's studies in the storage."""
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return sorted(s.study_name for s in summaries if SPEC in s.user_attrs)


def delete_study(storage: BaseStorage, name: str) -> None:
    """Removes a study and its trials."""
    optuna.delete_study(study_name=name, storage=storage)
