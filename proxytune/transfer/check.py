"""The check run: target and proxy train at the same base hyperparameters, on the same batches."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import RunError
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.packs.pack import Evaluation, Member, MemberDetails, PackSpec

OnEvaluation = Callable[[str, Evaluation], object]
"""Called with "proxy" or "target" after each evaluation."""
SIDES = ("proxy", "target")


@dataclass(frozen=True, slots=True)
class Run:
    """One training run of the check."""

    shape: Shape
    evaluations: tuple[Evaluation, ...]
    step_losses: tuple[float, ...] | None
    """Training loss at every step, nats per token; None if the trainer does not tell it."""
    updates: dict[str, float] | None
    """Relative update over the whole run, by role; None if it was not measured."""

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


def check_packs(
    study: StudySpec,
    target: TargetSpec,
    hyperparameters: BaseHyperparameters,
    tokens: Path,
    checkpoints: Path,
) -> list[PackSpec]:
    """The packs of proxy and target, from a seed that no trial of the study used."""
    training = study.training
    if target.check.steps is not None:
        evaluations = min(training.evaluations, target.check.steps)
        training = training.model_copy(
            update={"steps": target.check.steps, "evaluations": evaluations}
        )
    seed = study.seed + 1 + study.selection.seeds
    shapes = (study.proxy, check_shape(study, target))
    return [
        PackSpec.of_experiment(
            study,
            f"check-{target.name}-{side}",
            [Member(number=0, seed=seed, hyperparameters=hyperparameters)],
            parameterization=study.parameterization,
            tokens=tokens,
            seed=seed,
            shape=shape,
            training=training,
            checkpoint=checkpoints / f"check-{target.name}-{side}.pt",
            details=True,
        )
        for side, shape in zip(SIDES, shapes, strict=True)
    ]


def fixed_packs(packs: Sequence[PackSpec], on_evaluation: OnEvaluation) -> FixedPacks:
    """What an executor is given; `on_evaluation` hears which side an evaluation is of."""

    def tell(run: PackRun, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            on_evaluation(run.pack.name.rpartition("-")[2], evaluation)

    return FixedPacks(packs, on_evaluations=tell)


def check_run(packs: FixedPacks) -> CheckRun:
    """Both runs, once their packs have trained. Raises RunError if one of them was lost."""
    if packs.lost:
        raise RunError(
            f"{'; '.join(packs.lost)}; run the same command again, give the target a smaller "
            "check_shape, or project without a check: --no-check"
        )
    proxy, target = packs.runs.values()
    (member,) = proxy.pack.members
    warmup = member.hyperparameters.warmup_fraction * proxy.pack.training.steps
    return CheckRun(proxy=_run(proxy), target=_run(target), warmup_steps=round(warmup))


def _run(run: PackRun) -> Run:
    details = run.details.get(0, MemberDetails(number=0))
    return Run(
        shape=run.pack.shape,
        evaluations=run.evaluations(0),
        step_losses=_numbers(details.step_losses),
        updates=details.updates,
    )


def _numbers(losses: Sequence[float | None] | None) -> tuple[float, ...] | None:
    if losses is None:
        return None
    return tuple(math.nan if loss is None else loss for loss in losses)
