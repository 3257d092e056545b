"""A comparison of two studies as a report."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from pydantic import JsonValue

from proxytune.config.base import Report, Spec
from proxytune.config.shape import Shape
from proxytune.intervals import Interval, paired
from proxytune.packs.trial import TrialRecord
from proxytune.search.report import StudyReport, StudyState

NOT_COMPARED = frozenset({"name", "schema_version", "execution", "start_from", "base"})
"""Fields of a definition in which two studies may differ without another outcome, or which follow
from others."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A study and its trials, as one side of a comparison."""

    report: StudyReport
    trials: Sequence[TrialRecord]


class SoFar(Spec):
    """The best of a study when it had cost so much."""

    flops: float
    """Of all trials that had ended."""
    loss: float
    """The lowest validation loss among them, nats per token."""


class ComparedStudy(Spec):
    """One of the two studies."""

    study: str
    """Its name."""
    state: StudyState
    """As in its own report."""
    proxy: Shape
    """What it trained."""
    parameterization: str
    """Its scaling rules, as a label."""
    finished: int
    """Trials that will not change any more."""
    flops: float
    """What it has cost, confirmation included."""
    seconds: float
    """Training time of its trials, in all."""
    best: float | None
    """The lowest validation loss in the search; partly luck. None: no trial has one."""
    chosen: dict[str, float]
    """The searched hyperparameters of the chosen point; empty while it is not complete."""
    validation_loss: float | None
    """Of the chosen point on fresh seeds; None while it is not complete."""
    standard_error: float | None
    """Of that loss; None below two fresh seeds."""
    history: tuple[SoFar, ...]
    """In the order in which trials ended."""

    @classmethod
    def of(cls, side: Compared) -> "ComparedStudy":
        """What a comparison says of a study."""
        report, selection = side.report, side.report.selection
        ended = [trial for trial in side.trials if trial.state.finished]
        losses = [trial.value for trial in ended if trial.value is not None]
        return cls(
            study=report.study,
            state=report.state,
            proxy=report.spec.proxy,
            parameterization=report.spec.parameterization.label,
            finished=len(ended),
            flops=report.flops.total,
            seconds=math.fsum(trial.seconds for trial in ended),
            best=min(losses, default=None),
            chosen={}
            if selection is None
            else {name: getattr(selection.point, name) for name in report.spec.search.space},
            validation_loss=selection and selection.validation_loss,
            standard_error=selection and selection.standard_error,
            history=tuple(_history(ended)),
        )


class Difference(Spec):
    """A field in which the definitions differ."""

    field: str
    """Such as training.steps."""
    one: JsonValue
    """The first study's."""
    other: JsonValue
    """The second's."""


class Moved(Spec):
    """A hyperparameter that both studies searched and have chosen."""

    name: str
    """Its name."""
    one: float
    """The first study's."""
    other: float
    """The second's."""
    octaves: float | None
    """log2 of the second over the first; None where one of them is 0."""


class ComparisonReport(Report):
    """Two studies side by side."""

    studies: tuple[ComparedStudy, ComparedStudy]
    """In the order in which they were given."""
    differences: tuple[Difference, ...]
    """Of their definitions."""
    hyperparameters: tuple[Moved, ...]
    """Of the chosen points."""
    incomparable: str | None
    """Why losses of the two cannot be compared; None if they can."""
    loss_difference: Interval | None
    """Loss of the second's chosen point less that of the first's, nats per token, paired over the
    fresh seeds that both trained on. None: they cannot be compared, or have no seed in common."""
    seeds: tuple[int, ...] = ()
    """Those seeds."""


def comparison(one: Compared, other: Compared) -> ComparisonReport:
    """What differs between two studies, and what each of them found."""
    sides = ComparedStudy.of(one), ComparedStudy.of(other)
    obstacle = _incomparable(one.report, other.report)
    ours, theirs = _by_seed(one.report), _by_seed(other.report)
    common = tuple(sorted(ours.keys() & theirs.keys()))
    apart = np.array([theirs[seed] - ours[seed] for seed in common])
    return ComparisonReport(
        studies=sides,
        differences=tuple(_differences(one.report, other.report)),
        hyperparameters=tuple(
            Moved(name=name, one=value, other=sides[1].chosen[name], octaves=_octaves(value, to))
            for name, value in sides[0].chosen.items()
            if (to := sides[1].chosen.get(name)) is not None
        ),
        incomparable=obstacle,
        loss_difference=paired(apart).interval if common and obstacle is None else None,
        seeds=common if obstacle is None else (),
    )


def _history(ended: Sequence[TrialRecord]) -> Iterator[SoFar]:
    in_order = sorted(ended, key=lambda trial: (trial.finished or trial.started, trial.number))
    costs = accumulate(trial.flops for trial in in_order)
    best = math.inf
    for trial, flops in zip(in_order, costs, strict=True):
        best = min(best, math.inf if trial.value is None else trial.value)
        if math.isfinite(best):
            yield SoFar(flops=flops, loss=best)


def _differences(one: StudyReport, other: StudyReport) -> Iterator[Difference]:
    ours, theirs = (_flat(report.spec.model_dump(mode="json")) for report in (one, other))
    for field in [*ours, *(field for field in theirs if field not in ours)]:
        if field.partition(".")[0] not in NOT_COMPARED and ours.get(field) != theirs.get(field):
            yield Difference(field=field, one=ours.get(field), other=theirs.get(field))


def _flat(document: dict[str, JsonValue], above: str = "") -> dict[str, JsonValue]:
    """Nested fields by their whole names."""
    flat: dict[str, JsonValue] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _incomparable(one: StudyReport, other: StudyReport) -> str | None:
    """A loss is one of a corpus, its tokens, and a length."""
    corpora = [report.corpus and report.corpus.digest for report in (one, other)]
    if None not in corpora and corpora[0] != corpora[1]:
        return "they train on different corpora"
    for field in ("vocab_size", "seq_len"):
        ours, theirs = (getattr(report.spec.proxy, field) for report in (one, other))
        if ours != theirs:
            return f"their proxies differ in {field}: {ours} and {theirs}"
    return None


def _by_seed(report: StudyReport) -> dict[int, float]:
    """The chosen point's losses by fresh seed, without those at which it diverged."""
    if report.selection is None:
        return {}
    losses = zip(report.selection.seeds, report.selection.best.confirmed, strict=False)
    return {seed: loss for seed, loss in losses if loss is not None}


def _octaves(one: float, other: float) -> float | None:
    return math.log2(other / one) if one > 0 and other > 0 else None
