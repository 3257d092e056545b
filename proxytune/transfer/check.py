"""The check run: target and proxy train at the same base hyperparameters, on the same batches."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.models.parametrize import build_model
from proxytune.packs.pack import Evaluation, Member, PackSpec
from proxytune.scaling.projection import project
from proxytune.scaling.rules import Role
from proxytune.training.pack import PackTrainer
from proxytune.training.updates import relative_updates

OnEvaluation = Callable[[str, Evaluation], None]
"""Called with "proxy" or "target" after each evaluation."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training run of the check."""

    shape: Shape
    evaluations: tuple[Evaluation, ...]
    step_losses: tuple[float, ...]
    """Training loss at every step, nats a token."""
    updates: dict[Role, float]
    """Relative update over the whole run, by role."""

    @property
    def diverged(self) -> bool:
        """Whether it did not reach its last step with a loss to speak of."""
        return self.evaluations[-1].diverged


@dataclass(frozen=True, slots=True)
class CheckRun:
    """Both runs, and the step at which warm-up ends."""

    proxy: Run
    target: Run
    warmup_steps: int


def check_shape(study: StudySpec, target: TargetSpec) -> Shape:
    """What the check trains: the target or its stand-in, with the study's vocabulary and length.

    Neither of the two is a scaled dimension, and the corpus is the study's.
    """
    shape = target.check_shape or target.shape
    return shape.at(vocab_size=study.proxy.vocab_size, seq_len=study.proxy.seq_len)


def run_check(
    study: StudySpec,
    target: TargetSpec,
    hyperparameters: BaseHyperparameters,
    tokens: Path,
    threads: int,
    on_evaluation: OnEvaluation,
) -> CheckRun:
    """Trains proxy and target from a seed that no trial of the study used."""
    training = study.training
    if target.check.steps is not None:
        evaluations = min(training.evaluations, target.check.steps)
        training = training.model_copy(
            update={"steps": target.check.steps, "evaluations": evaluations}
        )
    seed = study.seed + 1 + study.selection.seeds

    def train(name: str, shape: Shape) -> Run:
        pack = PackSpec(
            name=name,
            shape=shape,
            base=study.base,
            parameterization=study.parameterization,
            training=training,
            data_seed=seed,
            tokens=tokens,
            members=(Member(number=0, seed=seed, hyperparameters=hyperparameters),),
            threads=threads,
        )
        return _train(pack, on_evaluation)

    return CheckRun(
        proxy=train("proxy", study.proxy),
        target=train("target", check_shape(study, target)),
        warmup_steps=round(hyperparameters.warmup_fraction * training.steps),
    )


def _train(pack: PackSpec, on_evaluation: OnEvaluation) -> Run:
    trainer = PackTrainer(pack)
    evaluations: list[Evaluation] = []
    while not trainer.done:
        for evaluation in trainer.advance():
            evaluations.append(evaluation)
            on_evaluation(pack.name, evaluation)
    return Run(
        shape=pack.shape,
        evaluations=tuple(evaluations),
        step_losses=tuple(trainer.step_losses(0)),
        updates={} if evaluations[-1].diverged else _updates(pack, trainer),
    )


def _updates(pack: PackSpec, trainer: PackTrainer) -> dict[Role, float]:
    # The initial weights are a pure function of the spec, so nobody had to keep them.
    (member,) = pack.members
    projection = project(member.hyperparameters, pack.base, pack.shape, pack.parameterization)
    return relative_updates(build_model(pack.shape, [projection], [member.seed]), trainer.model)
