"""Bare ids, as nanoGPT, OLMo and Dolma write them: the user says of which type."""

from pathlib import Path

import numpy as np

from proxytune.data.formats import Contents
from proxytune.data.kinds import kind_of
from proxytune.data.stream import TokenFile
from proxytune.errors import InputError


def read(path: Path, dtype: str | None) -> Contents:
    """All of the file."""
    kind = kind_of(path)
    if kind is not None:
        raise InputError(f"data.tokens: {path}: {kind.found}; {kind.instead}")
    if dtype is None:
        raise InputError(
            f"data.tokens: {path}: has no header that tells the type of its ids; "
            "write data.dtype: uint16 or uint32"
        )
    size, itemsize = path.stat().st_size, np.dtype(dtype).itemsize
    if size % itemsize:
        raise InputError(
            f"data.tokens: {path}: data.dtype = {dtype!r} does not divide its {size} bytes; "
            "it is of another type, has a header, or is truncated"
        )
    return Contents(
        TokenFile(path, np.dtype(dtype).newbyteorder("<").str, 0, size // itemsize), None
    )
