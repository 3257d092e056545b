"""Megatron's pairs of a .bin and an .idx, from its `indexed_dataset.py`.

The .idx: `MMIDIDX\\0\\0`, version (uint64) 1, type (uint8), number of sequences S (uint64), number
of documents + 1 (uint64); then S lengths (int32), S places in bytes (int64), and the sequence at
which each document begins (int64), with S as the last.
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from proxytune.data.formats import Bounds, Contents
from proxytune.data.stream import TokenFile
from proxytune.errors import InputError

MAGIC = b"MMIDIDX\0\0"
HEADER = struct.Struct("<9sQBQQ")
DTYPES = {1: "|u1", 2: "|i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}


def read(path: Path, dtype: str | None) -> Contents | None:
    """The .bin of a pair, given by either of its two files."""
    index = path.with_suffix(".idx")
    if path.suffix not in (".bin", ".idx") or not index.is_file():
        return None
    begin = index.open("rb").read(HEADER.size)
    if not begin.startswith(MAGIC):
        return None
    if len(begin) < HEADER.size:
        raise _damaged(index, "its header is cut off")
    _, version, code, sequences, starts = HEADER.unpack(begin)
    if version != 1 or code not in DTYPES:
        raise _damaged(index, f"its version {version} or type {code} is not known")
    needed = HEADER.size + 12 * sequences + 8 * starts
    if index.stat().st_size < needed:
        raise _damaged(index, f"has {index.stat().st_size} bytes of {needed}: it is truncated")
    tokens = path.with_suffix(".bin")
    size = tokens.stat().st_size if tokens.is_file() else 0
    itemsize = np.dtype(DTYPES[code]).itemsize
    places_S = np.memmap(index, "<i8", "r", HEADER.size + 4 * sequences, (sequences,))
    first_D = np.memmap(index, "<i8", "r", HEADER.size + 12 * sequences, (starts,))
    last = np.memmap(index, "<i4", "r", HEADER.size, (sequences,))[-1:]
    end = int(places_S[-1]) + int(last[0]) * itemsize if sequences else 0
    if size != end:
        raise _damaged(tokens, f"has {size} bytes; {index.name} says {end}")

    def start_of(number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(places_S[first_D[number]] // itemsize, np.int64)

    file = TokenFile(tokens, DTYPES[code], 0, size // itemsize)
    return Contents(file, Bounds(max(0, starts - 1), start_of))


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"data.tokens: {path}: {reason}; write the pair again")
