"""A split's tokens: spans of token files, one after the other, mapped where they lie.

Notation: S spans.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer]
"""Token ids, of any type of integer."""

SPAN = np.dtype([("file", "<u4"), ("start", "<i8"), ("length", "<i8")])
"""`length` tokens of a file, from `start` on."""
Spans = npt.NDArray[np.void]
"""An array of SPAN."""


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Token ids in a file, one after the other."""

    path: Path
    dtype: str
    """As NumPy writes it: `<u2`."""
    offset: int
    """Bytes before the first."""
    count: int
    """Number of tokens."""

    @property
    def is_here(self) -> bool:
        """Whether this machine sees the file, as long as it was."""
        size = self.offset + self.count * np.dtype(self.dtype).itemsize
        return self.path.is_file() and self.path.stat().st_size >= size

    def map(self) -> Ids:
        """The tokens, read from disk when they are used."""
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, (self.count,))
        # A plain array on the same memory, since slices of a memmap are slow to make.
        return np.asarray(mapped)


class TokenReader:
    """Reads tokens of files once: mapping each page for that would take longer, and memory."""

    def __init__(self, files: Sequence[TokenFile]) -> None:
        self._files = files
        self._number = -1
        self._open: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._open is not None:
            self._open.close()

    def read(self, file: int, start: int, length: int) -> Ids:
        """Tokens of a file; those of one file are best asked for together."""
        told = self._files[file]
        if self._open is None or file != self._number:
            self.__exit__()
            self._number, self._open = file, told.path.open("rb")
        itemsize = np.dtype(told.dtype).itemsize
        self._open.seek(told.offset + start * itemsize)
        return np.frombuffer(self._open.read(length * itemsize), told.dtype)


class TokenStream:
    """The tokens of spans, as one sequence."""

    def __init__(self, files: Sequence[Ids], spans_S: Spans) -> None:
        self._files = files
        self._file_S, self._start_S = spans_S["file"], spans_S["start"]
        self._end_S = np.cumsum(spans_S["length"], dtype=np.int64)
        """Where in the sequence each span ends."""

    @classmethod
    def of(cls, tokens: Ids) -> Self:
        """The sequence of one array."""
        return cls([tokens], np.array([(0, 0, len(tokens))], SPAN))

    def __len__(self) -> int:
        return int(self._end_S[-1]) if len(self._end_S) else 0

    def windows(self, starts_B: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
        """(B, length): the tokens from each start on. All of them must be in the sequence."""
        out = np.empty((len(starts_B), length), np.int64)
        first_B = np.searchsorted(self._end_S, starts_B, side="right")
        for row, start, span in zip(out, starts_B.tolist(), first_B.tolist(), strict=True):
            self._fill(row, start, span)
        return out

    def whole(self) -> Ids:
        """All tokens, in memory, in the widest type of the files."""
        row: Ids = np.empty(len(self), np.result_type(*(file.dtype for file in self._files)))
        self._fill(row, 0, 0)
        return row

    def _fill(self, row: Ids, position: int, span: int) -> None:
        """Writes the tokens from a position on, which lies in a span, and goes on in the next."""
        filled = 0
        while filled < len(row):
            left = int(self._end_S[span]) - position
            end = int(self._start_S[span]) + self._length(span)
            taken = min(left, len(row) - filled)
            tokens = self._files[int(self._file_S[span])]
            row[filled : filled + taken] = tokens[end - left : end - left + taken]
            filled, position, span = filled + taken, position + taken, span + 1

    def _length(self, span: int) -> int:
        before = int(self._end_S[span - 1]) if span else 0
        return int(self._end_S[span]) - before
