"""NumPy's own .npy files; those of OLMo and Dolma have the ending alone, and no header."""

import math
from pathlib import Path

import numpy as np

from proxytune.data.formats import Contents
from proxytune.data.stream import TokenFile
from proxytune.errors import InputError

MAGIC = b"\x93NUMPY"


def read(path: Path, dtype: str | None) -> Contents | None:
    """The integers of an array, row after row."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        file.seek(0)
        try:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                header = np.lib.format.read_array_header_2_0
            shape, by_column, found = header(file)
        except ValueError as error:
            raise _refused(path, f"its header cannot be read ({error})") from None
        offset = file.tell()
    count = math.prod(shape)
    if found.hasobject:
        raise _refused(path, "holds Python objects, which are never loaded")
    if found.kind not in "iu" or (by_column and len(shape) > 1):
        raise _refused(path, f"holds {found.name} where rows of integers are needed")
    if path.stat().st_size < offset + count * found.itemsize:
        raise _refused(path, f"is truncated: it has fewer than its {count} numbers")
    return Contents(TokenFile(path, found.str, offset, count), None)


def _refused(path: Path, reason: str) -> InputError:
    return InputError(f"data.tokens: {path}: {reason}; save token ids as uint16 or uint32")
