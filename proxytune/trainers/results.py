"""What a trainer has reported of a pack of one, as evaluations and details."""

import math
import statistics

from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.trainers.metrics import Metrics, StepMetrics
from proxytune.training.schedule import lr_factor


def evaluation(pack: PackSpec, metrics: Metrics, step: int, seconds: float) -> Evaluation:
    """What was reported of a step; `seconds` is the time of training, where it was not."""
    (member,) = pack.members
    training, told = pack.training, metrics.steps[step]
    train_loss = _train_loss(pack, metrics, step)
    limit = training.divergence_factor * math.log(pack.shape.vocab_size)
    above = any(loss is not None and loss > limit for loss in (told.validation_loss, train_loss))
    tokens = step * training.batch_size * pack.shape.seq_len
    is_first = step == training.evaluation_steps()[0]
    first = metrics.steps.get(1, StepMetrics()) if is_first else StepMetrics()
    return Evaluation(
        number=member.number,
        step=step,
        tokens=tokens if told.tokens is None else told.tokens,
        train_loss=train_loss,
        validation_loss=_finite(told.validation_loss),
        grad_norm=told.grad_norm,
        lr_factor=lr_factor(training, member.hyperparameters.warmup_fraction, max(0, step - 1)),
        seconds=seconds if told.seconds is None else told.seconds,
        diverged=told.diverged or above,
        first_loss=_finite(first.train_loss),
        others=told.others,
    )


def details(pack: PackSpec, metrics: Metrics, last: int) -> MemberDetails:
    """Details of a run whose last step this is; what was not reported of every step is None."""
    (member,) = pack.members
    of_steps = [metrics.steps.get(step, StepMetrics()) for step in range(1, last + 1)]
    losses = [of_step.train_loss for of_step in of_steps]
    norms = [of_step.grad_norm for of_step in of_steps if of_step.grad_norm is not None]
    clip = math.inf if pack.training.clip_norm is None else pack.training.clip_norm
    updates = [of_step.updates for of_step in of_steps if of_step.updates is not None]
    return MemberDetails(
        number=member.number,
        step_losses=None if None in losses else tuple(map(_finite, losses)),
        clipped_steps=sum(norm > clip for norm in norms) if len(norms) == last else None,
        updates=updates[-1] if updates else None,
    )


def _train_loss(pack: PackSpec, metrics: Metrics, step: int) -> float | None:
    """The mean since the evaluation before, of the steps that were reported."""
    before = max((s for s in pack.training.evaluation_steps() if s < step), default=0)
    told = [metrics.steps[s].train_loss for s in range(before + 1, step + 1) if s in metrics.steps]
    losses = [loss for loss in told if loss is not None]
    return _finite(statistics.fmean(losses)) if losses else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
