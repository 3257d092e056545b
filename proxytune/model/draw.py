"""Initial weights: a pure function of seed, name and shape."""

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor


def draw(shape: Sequence[int], seed: int, name: str) -> Tensor:
    """Standard normal numbers, on the CPU, whatever was drawn before and wherever they go."""
    # One number of 32 bits: the generator takes no notice of more.
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    return torch.empty(tuple(shape)).normal_(generator=generator)
