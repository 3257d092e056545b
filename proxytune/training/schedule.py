"""The learning rate over a run, as a factor on its peak."""

import math

from proxytune.config.training import TrainingSpec


def lr_factor(training: TrainingSpec, warmup_fraction: float, step: int) -> float:
    """Factor for step 0, 1, …: linear warm-up to 1, then the spec's decay.

    Step 0 already moves, and the last step runs at `final_lr_fraction`.
    """
    warmup = round(warmup_fraction * training.steps)
    if step < warmup:
        return (step + 1) / warmup
    if training.schedule == "wsd":
        start = max(warmup, round((1 - training.decay_fraction) * training.steps))
    else:
        start = warmup
    # Of the steps from `start` on, the share that lies behind; 1 at the last.
    done = max(0.0, (step - start + 1) / (training.steps - start)) if step >= start else 0.0
    fall = (1 - math.cos(math.pi * done)) / 2 if training.schedule == "cosine" else done
    return 1 - (1 - training.final_lr_fraction) * fall
