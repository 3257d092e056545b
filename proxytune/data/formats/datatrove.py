"""datatrove's .ds files: bare ids; beside them, in .ds.index, the ends of documents (uint64)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from proxytune.data.formats import Bounds, Contents
from proxytune.data.stream import TokenFile
from proxytune.errors import InputError

DTYPES = {2: "<u2", 4: "<u4"}
"""Bytes of an id -> its type."""


def read(path: Path, dtype: str | None) -> Contents | None:
    """The ids, whose type follows from the number that the index tells."""
    index = path.with_name(f"{path.name}.index")
    if path.suffix != ".ds" or not index.is_file():
        return None
    documents, rest = divmod(index.stat().st_size, 8)
    size = path.stat().st_size
    if documents == 0 or rest:
        raise InputError(f"data.tokens: {index}: is empty or truncated; write it again")
    ends_D = np.memmap(index, "<u8", "r", 0, (documents,))
    count = int(ends_D[-1])
    found = DTYPES.get(size // count if count else 0)
    if found is None or size % count:
        raise InputError(
            f"data.tokens: {path}: has {size} bytes for the {count} tokens of {index.name}; "
            "write the two again"
        )

    def start_of(number: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        ends = np.asarray(ends_D[np.maximum(number, 1) - 1], np.int64)
        return np.where(number == 0, 0, ends)

    return Contents(TokenFile(path, found, 0, count), Bounds(documents, start_of))
