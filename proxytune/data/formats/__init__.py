"""Files of token ids: one module per format, each of which knows its files by their beginning.

A module has a function `read(path, dtype)`, which returns what is in the file, or None if it is of
another format. It raises InputError for a file of its format that is damaged. A format is added by
its file and its name in `FORMATS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt

from proxytune.data.stream import TokenFile
from proxytune.errors import InputError

FORMATS = ("megatron", "llmc", "npy", "datatrove", "headerless")
"""In the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the documents of a file begin."""

    count: int
    """Number of documents."""
    starts: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
    """The first token of documents, by their numbers; ascending."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The tokens of a file."""

    file: TokenFile
    bounds: Bounds | None
    """None if the file does not say where documents begin."""


def read_tokens(path: Path, dtype: str | None) -> Contents:
    """What is in a file of token ids; `dtype` is that of files without a header.

    Raises InputError for a file that is damaged, or of no known format.
    """
    for name in FORMATS:
        contents: Contents | None = import_module(f"{__name__}.{name}").read(path, dtype)
        if contents is not None:
            _require_same(path, contents.file.dtype, dtype)
            return contents
    raise AssertionError("the last format takes every file")


def _require_same(path: Path, found: str, given: str | None) -> None:
    if given is not None and np.dtype(found) != np.dtype(given):
        raise InputError.of_field(
            "data.dtype",
            given,
            f"{path} says that it holds {np.dtype(found).name}; leave dtype out",
        )
