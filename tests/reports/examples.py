"""A study and its trials, made up: their loss is a formula of the learning rate."""

import math
from datetime import UTC, datetime, timedelta

from proxytune.config.search import Choices, Range, SearchSpec, SpaceEntry
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation
from proxytune.packs.selection import Candidate, Selection, candidates
from proxytune.packs.trial import TrialRecord, TrialState
from proxytune.search.report import StudyFlops, StudyReport

BEGAN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RATE, DECAY, BETA = (
    Range(low=0.001, high=0.1, log=True),
    Range(low=0.0, high=0.4),
    Choices(choices=(0.9, 0.95, 0.99)),
)
THREE: dict[str, SpaceEntry] = {"learning_rate": RATE, "weight_decay": DECAY, "beta2": BETA}
SPACES: dict[str, dict[str, SpaceEntry]] = {
    "three": THREE,
    "one": {"learning_rate": RATE},
    "choices": {"beta2": BETA},
    "two choices": {"beta2": BETA, "eps": Choices(choices=(1e-8,))},
    "point": {"learning_rate": Range(low=0.01, high=0.01), "weight_decay": DECAY},
}


def study(space: dict[str, SpaceEntry], name: str = "made-up") -> StudySpec:
    """A study of small proxies."""
    return StudySpec(
        name=name,
        proxy=Shape(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=16),
        search=SearchSpec(space=space, trials=12),
    )


def trial(
    of: StudySpec,
    number: int,
    state: TrialState = TrialState.COMPLETE,
    reason: str | None = None,
) -> TrialRecord:
    """A trial whose number decides its hyperparameters, and those its loss."""
    params = {
        name: _value(entry, (number * 0.381966 + nth / 3) % 1)
        for nth, (name, entry) in enumerate(of.search.space.items())
    }
    end = 2 + sum(math.log(abs(value) + 1.01) ** 2 for value in params.values())
    lost = state in (TrialState.DIVERGED, TrialState.FAILED, TrialState.RUNNING)
    steps = {TrialState.FAILED: (), TrialState.PRUNED: (4,)}.get(state, (4, 8))
    curve = tuple(
        Evaluation(
            number=number,
            step=step,
            tokens=64 * step,
            train_loss=end + 4 / step,
            validation_loss=None if state is TrialState.DIVERGED and step == 8 else end + 4 / step,
            grad_norm=1.0,
            lr_factor=1.0,
            seconds=step / 9,
            diverged=state is TrialState.DIVERGED and step == 8,
        )
        for step in steps
    )
    return TrialRecord(
        study=of.name,
        number=number,
        state=state,
        params=params,
        hyperparameters=of.hyperparameters_of(params),
        value=None if lost else curve[-1].validation_loss,
        seed=of.seed,
        pack="pack-00000",
        started=BEGAN + timedelta(seconds=number),
        finished=None if state is TrialState.RUNNING else BEGAN + timedelta(minutes=1),
        seconds=1.0,
        tokens=512,
        flops=1e9,
        reason=reason,
        curve=curve,
    )


def _value(entry: SpaceEntry, share: float) -> float:
    if isinstance(entry, Choices):
        return entry.choices[int(share * len(entry.choices))]
    if entry.log:
        return float(entry.low * (entry.high / entry.low) ** share)
    return entry.low + share * (entry.high - entry.low)


def trials(of: StudySpec, count: int = 12) -> list[TrialRecord]:
    """Most are complete; of the others there is one of each state."""
    states = {
        2: TrialState.DIVERGED,
        3: TrialState.PRUNED,
        5: TrialState.FAILED,
        7: TrialState.RUNNING,
    }
    return [trial(of, number, states.get(number, TrialState.COMPLETE)) for number in range(count)]


def selection(of: list[TrialRecord]) -> Selection:
    """The best two, confirmed on two fresh seeds; the second is equal within noise."""
    best, second = candidates(of)[:2]
    return Selection.of(
        [_confirmed(best, 0.0, None), _confirmed(second, 0.02, True)],
        tokens=2048,
        seeds=(1, 2),
        interval={"learning_rate": (0.002, 0.03)},
    )


def _confirmed(candidate: Candidate, by: float, equal: bool | None) -> Candidate:
    assert candidate.value is not None
    losses = (candidate.value + by + 0.01, candidate.value + by + 0.03)
    return candidate.model_copy(update={"confirmed": losses, "equal": equal})


def report(of: StudySpec, ran: list[TrialRecord], chosen: Selection | None) -> StudyReport:
    """What a study with these trials reports."""
    return StudyReport(
        study=of.name,
        state="unfinished" if chosen is None else "complete",
        spec=of,
        pack_size=4,
        flops=StudyFlops(trials=1e10, confirmation=2e9),
        selection=chosen,
        trials=tuple(one.result for one in ran),
    )
