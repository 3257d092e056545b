"""The tokens of each step: a pure function of (seed, step), whatever was trained before.

Notation: B sequences, T = seq_len.
"""

import numpy as np
import numpy.typing as npt

from proxytune.data.stream import TokenStream

Batch = npt.NDArray[np.int64]


def training_batch(
    tokens: TokenStream, seed: int, step: int, batch_size: int, seq_len: int
) -> Batch:
    """The batch of one step: (B, T + 1) tokens, the inputs and the token after the last."""
    starts = np.random.default_rng([seed, step]).integers(len(tokens) - seq_len, size=batch_size)
    return tokens.windows(starts, seq_len + 1)


def validation_batches(tokens: TokenStream, count: int, batch_size: int, seq_len: int) -> Batch:
    """The batches of every evaluation: (count, B, T + 1), spread evenly over the tokens.

    They depend on no seed, so all trials, and a target and its proxy, are evaluated on the same
    data.
    """
    starts = np.linspace(0, len(tokens) - seq_len - 1, count * batch_size).astype(np.int64)
    return tokens.windows(starts, seq_len + 1).reshape(count, batch_size, seq_len + 1)
