"""The check run: target and proxy train at the same base hyperparameters, on the same batches."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec
from proxytune.errors import RunError
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.packs.pack import Evaluation, Member, MemberDetails, PackSpec
from proxytune.transfer.job import check_jobs

OnEvaluation = Callable[[str, Evaluation], object]
"""Called after each evaluation with what was evaluated: "proxy", "target", or one of the other
words of BRACKET."""
SIDES = ("proxy", "target")
BRACKET = {1.0: "target", 0.5: "target at half the rate", 2.0: "target at twice the rate"}
"""What the target trains at, by the factor on its learning rate; in the order of members."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training run of the check."""

    shape: Shape
    evaluations: tuple[Evaluation, ...]
    step_losses: tuple[float, ...] | None
    """Training loss at every step, nats per token; None if the trainer does not tell it."""
    updates: dict[str, float] | None
    """Relative update over the whole run, by role; None if it was not measured."""
    clipped_share: float | None = None
    """Share of the steps that were clipped, 0 to 1; None if the trainer does not tell it."""

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
    bracket: Mapping[float, Run] | None = None
    """The target's runs by the factor on its learning rate; None if only 1 was trained."""

    def sides(self) -> dict[str, Run]:
        """Both runs by name."""
        return {"proxy": self.proxy, "target": self.target}


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
    """The packs of proxy and target, from a seed that no trial of the study used.

    With a bracket, the target's pack has a member for each of BRACKET, on the same batches. Raises
    InputError for workers that cannot share the target.
    """
    training = study.training
    if target.check.steps is not None:
        evaluations = min(training.evaluations, target.check.steps)
        training = training.model_copy(
            update={"steps": target.check.steps, "evaluations": evaluations}
        )
    seed = study.seed + 1 + study.selection.most_seeds
    shapes = (study.proxy, check_shape(study, target))
    bracket = [at_rate(hyperparameters, factor) for factor in BRACKET]
    jobs = check_jobs(study, target.check, shapes[1])
    trained = (bracket[:1], bracket if target.check.bracket else bracket[:1])
    return [
        PackSpec.of_experiment(
            study,
            f"check-{target.name}-{side}",
            [
                Member(number=number, seed=seed, hyperparameters=settings)
                for number, settings in enumerate(of_side)
            ],
            parameterization=study.parameterization,
            tokens=tokens,
            seed=seed,
            shape=shape,
            training=training,
            checkpoint=checkpoints / f"check-{target.name}-{side}.pt",
            details=True,
            purpose="check",
            job=job,
        )
        for side, shape, of_side, job in zip(SIDES, shapes, trained, jobs, strict=True)
    ]


def at_rate(hyperparameters: BaseHyperparameters, factor: float) -> BaseHyperparameters:
    """The same at this multiple of the learning rate."""
    rate = factor * hyperparameters.learning_rate
    return hyperparameters.model_copy(update={"learning_rate": rate})


def without_bracket(pack: PackSpec) -> PackSpec:
    """The target's pack at the projected rate alone."""
    return pack.part(pack.name, pack.members[:1])


def fixed_packs(
    packs: Sequence[PackSpec], on_evaluation: OnEvaluation, largest: int | None = None
) -> FixedPacks:
    """What an executor is given, in packs of `largest` members at most.

    `on_evaluation` hears what an evaluation is of.
    """

    def tell(run: PackRun, evaluations: Sequence[Evaluation]) -> None:
        proxy = run.pack.name.endswith(SIDES[0])
        for evaluation in evaluations:
            words = SIDES[0] if proxy else tuple(BRACKET.values())[evaluation.number]
            on_evaluation(words, evaluation)

    return FixedPacks(packs, on_evaluations=tell, largest=largest)


def runs_of(packs: FixedPacks) -> list[PackRun]:
    """The runs, once their packs have trained. Raises RunError if one of them was lost."""
    if packs.lost:
        raise RunError(
            f"{'; '.join(packs.lost)}; run the same command again, give the target a smaller "
            "check_shape, or project without a check: --no-check"
        )
    return list(packs.runs.values())


def check_run(proxy: PackRun, target: PackRun) -> CheckRun:
    """Both runs, and what a check compares of them."""
    (member,) = proxy.pack.members
    warmup = member.hyperparameters.warmup_fraction * proxy.pack.training.steps
    runs = {
        factor: _run(target, member.number)
        for factor, member in zip(BRACKET, target.pack.members, strict=False)
    }
    return CheckRun(
        proxy=_run(proxy, member.number),
        target=runs[1.0],
        warmup_steps=round(warmup),
        bracket=runs if len(runs) > 1 else None,
    )


def _run(run: PackRun, number: int) -> Run:
    details = run.details.get(number, MemberDetails(number=number))
    evaluations = run.evaluations(number)
    clipped = details.clipped_steps
    return Run(
        shape=run.pack.shape,
        evaluations=evaluations,
        step_losses=_numbers(details.step_losses),
        updates=details.updates,
        clipped_share=None if clipped is None else clipped / evaluations[-1].step,
    )


def _numbers(losses: Sequence[float | None] | None) -> tuple[float, ...] | None:
    if losses is None:
        return None
    return tuple(math.nan if loss is None else loss for loss in losses)
