"""Studies and finished trials, made up, to be recorded."""

from datetime import UTC, datetime, timedelta

from proxytune.config.search import Range, SearchSpec
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.packs.pack import Evaluation
from proxytune.packs.trial import TrialRecord, TrialState

BEGAN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
STEPS = (4, 8, 12)


def study(name: str) -> StudySpec:
    """A study of small proxies with repeat factor 2."""
    return StudySpec(
        name=name,
        proxy=Shape(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=16),
        search=SearchSpec(space={"learning_rate": Range(low=0.001, high=0.1, log=True)}),
    )


def trial(
    of: StudySpec,
    number: int,
    state: TrialState = TrialState.COMPLETE,
    steps: tuple[int, ...] = STEPS,
) -> TrialRecord:
    """A trial; its number decides its values, which are no round ones."""
    params = {"learning_rate": 0.001 + number / 3}
    curve = tuple(_evaluation(number, step) for step in steps)
    if state is TrialState.DIVERGED:
        lost = {"train_loss": None, "validation_loss": None, "grad_norm": None, "diverged": True}
        curve = (*curve[:-1], curve[-1].model_copy(update=lost))
    if state is TrialState.FAILED:
        curve = ()
    return TrialRecord(
        study=of.name,
        number=number,
        state=state,
        params=params,
        hyperparameters=of.hyperparameters_of(params),
        value=curve[-1].validation_loss if curve else None,
        seed=of.seed,
        pack=f"pack-{number // 8:05d}",
        started=BEGAN + timedelta(seconds=number),
        finished=BEGAN + timedelta(minutes=1, milliseconds=number),
        seconds=curve[-1].seconds if curve else 0.0,
        tokens=curve[-1].tokens if curve else 0,
        flops=1e9 + number / 7,
        curve=curve,
    )


def _evaluation(number: int, step: int) -> Evaluation:
    return Evaluation(
        number=number,
        step=step,
        tokens=64 * step,
        train_loss=5 - step / 7 + number / 300,
        validation_loss=5.1 - step / 7 + number / 300,
        grad_norm=1 / (step + number),
        lr_factor=1 - step / 13,
        seconds=step / 9,
    )
