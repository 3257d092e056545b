"""The learning-rate schedule, as a factor on the peak."""

from proxytune.config.training import TrainingSpec
from proxytune.models import portable


def lr_factor(training: TrainingSpec, warmup_fraction: float, step: int) -> float:
    """Factor for step 0, 1, …: linear warm-up to 1, then the spec's decay.

    Step 0 has a rate above 0, and the last step runs at `final_lr_fraction`.
    """
    return portable.lr_factor(
        step,
        training.steps,
        kind=training.schedule,
        warmup_fraction=warmup_fraction,
        final_lr_fraction=training.final_lr_fraction,
        decay_fraction=training.decay_fraction,
    )
