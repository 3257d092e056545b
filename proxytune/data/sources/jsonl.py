"""Files with one JSON object per line, as they are or packed by gzip or zstd."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents
from proxytune.data.kinds import PICKLE, TEXT, kind_of
from proxytune.data.paths import found, require_files, without_copies
from proxytune.data.rows import Row, chosen, column_of, read_rows, tokenizer_of
from proxytune.data.sampling import Sample, stretches
from proxytune.data.sources import Tell
from proxytune.data.tokenizers import Tokenizer
from proxytune.errors import InputError

PROBE = 2**20
"""Bytes of lines by which the length of all texts is estimated."""
PACKED = (".gz", ".zst")


class Source:
    """Lines of JSON; see DataSource."""

    def __init__(self, data: DataSpec, field: str, patterns: Sequence[str]) -> None:
        self._end = data.end_of_text
        self.files: Sequence[Path] = found(field, patterns)
        require_files(field, self.files, ".jsonl")
        self._table = _Lines(self.files, data.column, field)
        self.tokenizer: Tokenizer | None = tokenizer_of(self._table, data)

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Reads the column, and tokenizes it where it is text."""
        table = self._table.without_copies()
        return read_rows(table, self.tokenizer, self._end, sample, file, tell)


class _Lines:
    """One field of all lines; see Table."""

    def __init__(self, files: Sequence[Path], column: str | None, field: str) -> None:
        self._files, self._field = files, field
        for path in files:
            kind = kind_of(path)
            if kind and kind != TEXT and (kind == PICKLE or path.suffix not in PACKED):
                raise InputError.of_field(field, str(path), f"{kind.found}; {kind.instead}")
        first = next((line for path in files for line in _lines(path)), None)
        if first is None:
            raise InputError.of_field(field, str(files[0]), "holds no lines of text or tokens")
        self._column = column or ""
        row = _parsed(*first)
        self._column = column_of(list(row), column, field, files[0])
        self.is_text = not isinstance(row[self._column], list)

    def without_copies(self) -> "_Lines":
        return _Lines(without_copies(self._files), self._column, self._field)

    def size(self) -> int:
        """By the files' sizes, and what share of the first lines of each is text or ids."""
        return round(sum(path.stat().st_size * self._per_byte(path) for path in self._files))

    def rows(self, share: float) -> Iterator[Row]:
        """Lines of stretches; of packed files, which have to be unpacked whole, every so many."""
        plain = [path for path in self._files if path.suffix not in PACKED]
        sizes = [path.stat().st_size for path in plain]
        if share < 1:
            for part in stretches(sizes, share * sum(sizes)):
                for place, line in _lines_between(plain[part.file], part.start, part.stop):
                    yield from self._row(place, line)
        for path in self._files:
            if share >= 1 or path not in plain:
                for number, (place, line) in enumerate(_lines(path)):
                    if chosen(number, share):
                        yield from self._row(place, line)

    def _row(self, place: str, line: bytes) -> Iterator[Row]:
        """The document of a line; none where it is null."""
        value = _parsed(place, line).get(self._column)
        if isinstance(value, str) and self.is_text:
            # A lone surrogate is valid JSON, and no text.
            yield Row(place, value.encode(errors="replace"))
        elif isinstance(value, list) and not self.is_text:
            yield Row(place, self._ids(place, value))
        elif value is not None:
            words = "text" if self.is_text else "a list of ids"
            raise InputError(f"{place}: {self._column} is {value!r:.40} where it must be {words}")

    def _ids(self, place: str, value: list[Any]) -> Any:
        ids = np.array(value)
        if ids.ndim != 1 or (len(ids) and ids.dtype.kind not in "iu"):
            raise InputError(f"{place}: {self._column} must be a list of whole numbers")
        return ids

    def _per_byte(self, path: Path) -> float:
        """Bytes of text, or ids, per byte of the file."""
        size, read, lines = 0, 0, 0
        with _opened(path) as (raw, file):
            for number, line in enumerate(islice(file, PROBE)):
                for row in self._row(f"{path}, line {number + 1}", line) if line.strip() else ():
                    size += len(row.value)
                lines += len(line)
                if lines >= PROBE:
                    break
            # A packed file is read ahead, so this is more than the lines need, but little.
            read = raw.tell() if path.suffix in PACKED else lines
        return size / max(1, read)


def _parsed(place: str, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"{place}: is not JSON ({error}); one object per line is needed"
        ) from None
    if not isinstance(row, dict):
        raise InputError(f"{place}: holds {type(row).__name__} where an object is needed")
    return row


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """All lines that are not empty, with their places."""
    with _opened(path) as (_, file):
        for number, line in enumerate(file):
            if line.strip():
                yield f"{path}, line {number + 1}", line


def _lines_between(path: Path, start: int, stop: int) -> Iterator[tuple[str, bytes]]:
    """The lines that begin in a stretch of a plain file."""
    with path.open("rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()
        while (position := file.tell()) < stop and (line := file.readline()):
            if line.strip():
                yield f"{path}, byte {position}", line


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file as it lies on disk, and what it holds, unpacked."""
    with path.open("rb") as raw:
        try:
            yield raw, _unpacked(raw, path.suffix)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(f"{path}: cannot be unpacked ({error}); it is damaged") from None


def _unpacked(raw: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if suffix == ".zst":
        # Not before it is needed: pyarrow takes long to import.
        import pyarrow as pa

        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
    return raw
