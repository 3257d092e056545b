"""The batches of a pack, on the device that it trains on.

Shapes, as suffixes of names: B sequences, T positions, V batches of an evaluation.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData, facts_of
from proxytune.packs.pack import PackSpec

BATCHES_AHEAD = 32
"""Number of batches that are sent to the device together."""


class Feed:
    """What a pack trains on and is evaluated on: a function of its spec."""

    def __init__(self, pack: PackSpec, device: torch.device) -> None:
        self._pack, self._device = pack, device
        self._tokens = TokenData.load(pack.tokens)
        self._bytes_per_token = facts_of(pack.tokens).bytes_per_token
        training = pack.training
        self.validation_VxBxT1 = self._to_device(
            validation_batches(
                self._tokens.validation,
                training.evaluation_batches,
                training.batch_size,
                pack.shape.seq_len,
            )
        )
        """The batches of every evaluation."""

    def batches(self, steps: range) -> Iterator[Tensor]:
        """The batches of these steps, (B, T + 1) each, sent to the device ahead of time."""
        pack, tokens = self._pack, self._tokens.train
        size, length = pack.training.batch_size, pack.shape.seq_len
        for first in range(steps.start, steps.stop, BATCHES_AHEAD):
            ahead = range(first, min(first + BATCHES_AHEAD, steps.stop))
            yield from self._to_device(
                np.stack([training_batch(tokens, pack.data_seed, s, size, length) for s in ahead])
            )

    def bits_per_byte(self, loss: float) -> float | None:
        """A validation loss per token as bits per byte of text, where these are known."""
        if self._bytes_per_token is None or not math.isfinite(loss):
            return None
        return loss / math.log(2) / self._bytes_per_token

    def _to_device(self, batch: object) -> Tensor:
        return torch.as_tensor(batch).to(self._device, non_blocking=True)
