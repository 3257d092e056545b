"""Which part of a large corpus is read: stretches, spread evenly over all files by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from proxytune.config.data import DataSpec

LEAST = 2**26
"""Tokens of a corpus that are always used, if it has them."""
TIMES = 4
"""Sample over what one training run reads, so that few tokens are read twice."""
STRETCH = 2**14
"""Length of a stretch, about, as long as that gives neither too few nor too many."""
FEWEST, MOST = 64, 4096
"""Number of stretches."""
SEED = 0
"""Not the study's: all studies on a corpus read the same sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is wanted of a corpus."""

    tokens: int
    """At most about this many."""
    divided: bool
    """Whether it is to be split, so that long documents are cut; else it keeps its order."""

    @classmethod
    def of(cls, data: DataSpec, reads: int) -> "Sample":
        """The sample for training runs that read so many tokens each."""
        tokens = max(LEAST, TIMES * reads) if data.sample == "auto" else data.sample
        return cls(tokens, divided=data.validation is None)


class Stretch(NamedTuple):
    """A part of a file: its units, bytes or tokens, from `start` up to `stop`."""

    file: int
    start: int
    stop: int


def stretches(sizes: Sequence[int], wanted: float) -> list[Stretch]:
    """Parts of files that add up to `wanted` units, or the whole files if that is all of them."""
    total = sum(sizes)
    if wanted >= total:
        return [Stretch(file, 0, size) for file, size in enumerate(sizes) if size]
    count = int(min(max(wanted // STRETCH, FEWEST), MOST, max(1, wanted)))
    length, share = wanted / count, total / count
    free = np.random.default_rng(SEED).uniform(0, share - length, count)
    begins = (np.arange(count) * share + free).astype(np.int64)
    ends = np.cumsum(sizes)
    found = []
    for begin, first in zip(begins.tolist(), np.searchsorted(ends, begins, "right"), strict=True):
        left, file, start = (
            max(1, int(length)),
            int(first),
            begin - int(ends[first] - sizes[first]),
        )
        # A stretch that reaches the end of its file goes on in the next.
        while left > 0 and file < len(sizes):
            stop = min(start + left, sizes[file])
            found.append(Stretch(file, start, stop))
            left, file, start = left - (stop - start), file + 1, 0
    return [part for part in found if part.start < part.stop]
