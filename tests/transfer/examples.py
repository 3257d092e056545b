"""Check runs, made up, to be judged and shown."""

from collections.abc import Mapping, Sequence

from proxytune.config.search import Range, SearchSpec
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec
from proxytune.config.training import TrainingSpec
from proxytune.packs.pack import Evaluation
from proxytune.packs.selection import Candidate, Selection
from proxytune.plan.cost import Cost
from proxytune.scaling.report import projection_report
from proxytune.scaling.rules import Role
from proxytune.testing.packs import hyperparameters
from proxytune.transfer.check import CheckRun, Run
from proxytune.transfer.report import CheckReport, TransferReport
from proxytune.transfer.verdict import judge

PROXY = Shape(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=16)
TARGET = PROXY.at(d_model=64, n_heads=16, d_ff=192)
STUDY = StudySpec(
    name="small",
    proxy=PROXY,
    training=TrainingSpec(steps=30, batch_size=4, evaluations=3, evaluation_batches=2),
    search=SearchSpec(space={"learning_rate": Range(low=0.001, high=0.1, log=True)}),
)
WARM_UP = 10
STEPS = 40
EVEN: Mapping[float, Run] = {}
"""A bracket whose runs are all alike."""


def evaluation(step: int, loss: float | None, number: int = 0) -> Evaluation:
    """Diverged if there is no loss."""
    return Evaluation(
        number=number,
        step=step,
        tokens=64 * step,
        train_loss=loss,
        validation_loss=loss,
        grad_norm=None if loss is None else 1.0,
        lr_factor=1.0,
        seconds=0.1,
        diverged=loss is None,
    )


def run(
    shape: Shape = PROXY,
    losses: Sequence[float | None] = (5.0, 4.0, 3.5, 3.0),
    step_losses: Sequence[float] = (4.0,) * STEPS,
    update: float = 0.5,
    first_loss: float | None = None,
    clipped_share: float | None = None,
    **updates: float,
) -> Run:
    """Evaluated every ten steps; every role moved by `update` where nothing else is said."""
    diverged = losses[-1] is None
    first, *others = (evaluation(10 * i, loss) for i, loss in enumerate(losses, start=1))
    return Run(
        shape=shape,
        evaluations=(first.model_copy(update={"first_loss": first_loss}), *others),
        step_losses=tuple(step_losses),
        updates=None if diverged else {role: updates.get(role, update) for role in Role},
        clipped_share=clipped_share,
    )


def check_run(
    target: Run | None = None,
    proxy: Run | None = None,
    warmup_steps: int = WARM_UP,
    bracket: Mapping[float, Run] | None = EVEN,
) -> CheckRun:
    """By default one whose target is as good as its proxy, at any of three rates."""
    wide = target or run(TARGET)
    return CheckRun(
        proxy=proxy or run(),
        target=wide,
        warmup_steps=warmup_steps,
        bracket=dict.fromkeys((1.0, 0.5, 2.0), wide) if bracket is EVEN else bracket,
    )


def candidates(*values: float) -> list[Candidate]:
    """Trials by number, whose learning rates tell them apart."""
    return [
        Candidate(number=number, hyperparameters=hyperparameters(0.01 * (number + 1)), value=value)
        for number, value in enumerate(values)
    ]


def transfer_report(of: CheckRun, selection: Selection, spike: float = 0.5) -> TransferReport:
    """The report on a transfer of the study whose check was this run."""
    best = selection.best.hyperparameters
    settings = projection_report(best, STUDY.base, TARGET, STUDY.parameterization)
    return TransferReport(
        **dict(settings),
        study=STUDY.name,
        name="wide",
        selection=selection,
        cost=Cost(study_flops=1e12, target_flops=None, share=None),
        check=CheckReport.of(of, judge(of, CheckSpec(spike=spike))),
    )
