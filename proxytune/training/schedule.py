"""The learning-rate schedule, as a factor on the peak."""

import math

from proxytune.config.training import TrainingSpec


def lr_factor(training: TrainingSpec, warmup_fraction: float, step: int) -> float:
    """Factor for step 0, 1, …: linear warm-up to 1, then the spec's decay.

    Step 0 has a rate above 0, and the last step runs at `final_lr_fraction`.
    """
    warmup = round(warmup_fraction * training.steps)
    if step < warmup:
        return (step + 1) / warmup
    if training.schedule == "wsd":
        start = max(warmup, round((1 - training.decay_fraction) * training.steps))
    else:
        start = warmup
    # The share of the steps from `start` on that are done; 1 at the last.
    done = max(0.0, (step - start + 1) / (training.steps - start)) if step >= start else 0.0
    fall = (1 - math.cos(math.pi * done)) / 2 if training.schedule == "cosine" else done
    return 1 - (1 - training.final_lr_fraction) * fall
