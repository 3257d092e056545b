"""The precision of matrix products and attention.

In bfloat16, autocast rounds what goes into a product; weights, gradients, moments, norms, the
residual stream and losses stay in float32, so no loss needs scaling.
"""

import torch

from proxytune.config.training import TrainingSpec


def autocast(training: TrainingSpec, device: torch.device) -> torch.autocast:
    """What forward passes run in: a context, or a decorator of the model's `forward`."""
    reduced = training.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)
