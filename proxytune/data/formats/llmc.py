"""The .bin files of llm.c and modded-nanogpt: 256 int32 of header, then ids.

The header holds a magic number, a version and the number of tokens.
"""

from pathlib import Path

import numpy as np

from proxytune.data.formats import Contents
from proxytune.data.stream import TokenFile
from proxytune.errors import InputError

HEADER_BYTES = 256 * 4
DTYPES = {(20240520, 1): "<u2", (20240801, 7): "<u4"}
"""(magic number, version) -> type of an id."""


def read(path: Path, dtype: str | None) -> Contents | None:
    """The tokens after the header."""
    with path.open("rb") as file:
        begin = file.read(12)
    if len(begin) < 12:
        return None
    magic, version, count = np.frombuffer(begin, "<i4").tolist()
    found = DTYPES.get((magic, version))
    if found is None:
        return None
    size, needed = path.stat().st_size, HEADER_BYTES + count * np.dtype(found).itemsize
    if size < needed:
        raise InputError(
            f"data.tokens: {path}: has {size} bytes, and its header says {count} tokens, which "
            f"need {needed}: it is truncated; write it again"
        )
    return Contents(TokenFile(path, found, HEADER_BYTES, count), None)
