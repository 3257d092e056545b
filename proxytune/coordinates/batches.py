"""Batches of a corpus, for a coordinate check."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from proxytune.data.batches import training_batch
from proxytune.data.tokens import TokenData
from proxytune.spec.coordinates import CoordinateSpec

Batches = Callable[[int, int], Tensor]
"""(seed, step) -> tokens (B, T + 1)."""


def batches_of(spec: CoordinateSpec, tokens: Path) -> Batches:
    """Batches of the tokens in a cache folder, of the size that the spec says."""
    train = TokenData.load(tokens).train
    size = (spec.training.batch_size, spec.proxy.seq_len)
    return lambda seed, step: torch.as_tensor(training_batch(train, seed, step, *size))
