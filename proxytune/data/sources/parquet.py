"""Parquet and Arrow files, and the folders that Hugging Face's save_to_disk writes."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents
from proxytune.data.kinds import PARQUET, kind_of
from proxytune.data.paths import found, require_files, without_copies
from proxytune.data.rows import Row, chosen, column_of, read_rows, tokenizer_of
from proxytune.data.sampling import Sample
from proxytune.data.sources import Tell
from proxytune.data.tokenizers import Tokenizer
from proxytune.errors import InputError

ROWS = 1024
"""Rows that are in memory together."""
BUFFER = 2**20
"""Bytes of a column that are read at once."""
GROUPS = 64
"""Row groups that a sample reads at least, if there are as many."""
STREAM = b"\xff\xff\xff\xff"
"""Beginning of an Arrow stream, which is what save_to_disk writes."""


class Source:
    """A column of tables; see DataSource."""

    def __init__(self, data: DataSpec, field: str, patterns: Sequence[str]) -> None:
        self._end = data.end_of_text
        named = found(field, patterns)
        self.files: Sequence[Path] = [file for path in named for file in _saved(path, field)]
        require_files(field, self.files, ".parquet")
        self._column = _Column(self.files, data.column, field)
        self.tokenizer: Tokenizer | None = tokenizer_of(self._column, data)

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Reads the column, and tokenizes it where it is text."""
        table = self._column.without_copies()
        return read_rows(table, self.tokenizer, self._end, sample, file, tell)


class _Column:
    """One column of all files; see Table."""

    def __init__(self, files: Sequence[Path], column: str | None, field: str) -> None:
        self._files, self._field = files, field
        schema = _schema(files[0], field)
        self._name = column_of(schema.names, column, field, files[0])
        self._kinds = {path: self._kind(path) for path in files}
        self.is_text = self._kinds[files[0]]

    def without_copies(self) -> "_Column":
        return _Column(without_copies(self._files), self._name, self._field)

    def size(self) -> int:
        """Bytes of text, or ids; by the first rows of some row groups where it is Parquet."""
        arrow = [path for path in self._files if not _is_parquet(path)]
        packed = {path: pq.read_metadata(path) for path in self._files if path not in arrow}
        groups = [(path, n) for path, told in packed.items() for n in range(told.num_row_groups)]
        size = rows = 0
        for path, group in groups[:: -(-len(groups) // GROUPS) or 1]:
            with pq.ParquetFile(path, buffer_size=BUFFER) as file:
                columns = file.iter_batches(ROWS, row_groups=[group], columns=[self._name])
                for batch in islice(columns, 1):
                    size, rows = size + _length(batch.column(0)), rows + len(batch)
        total = sum(told.num_rows for told in packed.values())
        estimated = round(size * total / max(1, rows))
        return estimated + sum(
            _length(batch.column(self._name)) for path in arrow for batch in _arrow_batches(path)
        )

    def rows(self, share: float) -> Iterator[Row]:
        """Every so many rows, of the row groups that a sample reads."""
        for path in self._files:
            batches, of_read = self._batches(path, share)
            number = 0
            for column in batches:
                rows = [i for i in range(len(column)) if chosen(number + i, of_read)]
                taken = column if len(rows) == len(column) else column.take(pa.array(rows))
                for row, value in zip(rows, self._values(taken), strict=True):
                    if value is not None:
                        yield Row(f"{path}, row {number + row}", value)
                number += len(column)

    def _batches(self, path: Path, share: float) -> tuple[Iterator[Any], float]:
        """The column in parts, of all of the file or of some row groups; the share of those."""
        if not _is_parquet(path):
            return (batch.column(self._name) for batch in _arrow_batches(path)), share
        file = pq.ParquetFile(path, buffer_size=BUFFER)
        count = file.num_row_groups
        read = min(count, max(GROUPS, int(4 * share * count)))
        groups = [number * count // read for number in range(read)]
        rows = sum(file.metadata.row_group(group).num_rows for group in groups)
        batches = file.iter_batches(ROWS, row_groups=groups, columns=[self._name])
        columns = (batch.column(0) for batch in batches)
        return columns, min(1.0, share * file.metadata.num_rows / max(1, rows))

    def _values(self, column: Any) -> Iterator[bytes | Any | None]:
        if self.is_text:
            yield from column.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
            return
        lists = column.cast(pa.large_list(pa.int64()))
        values, ends = lists.values.to_numpy(zero_copy_only=False), lists.offsets.to_numpy()
        valid = lists.is_valid().to_numpy(zero_copy_only=False)
        for start, end, there in zip(ends[:-1], ends[1:], valid, strict=True):
            yield np.asarray(values[start:end]) if there else None

    def _kind(self, path: Path) -> bool:
        """Whether the column is text. Raises InputError if it is neither text nor ids."""
        schema = _schema(path, self._field)
        of_column = schema.field(self._name).type if self._name in schema.names else None
        of_value = getattr(of_column, "value_type", None)
        if of_column is not None:
            if any(_is_text(kind) for kind in (of_column, of_value) if kind is not None):
                return True
            if of_value is not None and pa.types.is_integer(of_value):
                return False
        raise InputError.of_field(
            "data.column", self._name, f"is {of_column} in {path}; text or lists of ids are needed"
        )


def _is_text(kind: Any) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string))


def _saved(path: Path, field: str) -> list[Path]:
    """The files of a folder of save_to_disk; any other path itself."""
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        folders = ", ".join(str(path / split) for split in splits)
        raise InputError.of_field(
            field, str(path), f"holds several data sets; name one: {folders}"
        )
    if (path / "state.json").is_file():
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        return [path / file["filename"] for file in state["_data_files"]]
    return [path]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _schema(path: Path, field: str) -> Any:
    with path.open("rb") as file:
        begin = file.read(6)
    try:
        if begin.startswith(b"PAR1"):
            return pq.read_schema(path)
        if begin.startswith(STREAM) or begin == b"ARROW1":
            return _arrow(path).schema
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        raise InputError.of_field(
            field, str(path), f"cannot be read ({error}); it is truncated or damaged"
        ) from None
    kind = kind_of(path)
    reason = f"{kind.found}; {kind.instead}" if kind and kind != PARQUET else "give such a file"
    raise InputError.of_field(field, str(path), f"is not a Parquet or Arrow file; {reason}")


def _arrow(path: Path) -> Any:
    mapped = pa.memory_map(str(path))
    with path.open("rb") as file:
        is_stream = file.read(4) == STREAM
    return pa.ipc.open_stream(mapped) if is_stream else pa.ipc.open_file(mapped)


def _arrow_batches(path: Path) -> Iterator[Any]:
    reader = _arrow(path)
    if hasattr(reader, "num_record_batches"):
        yield from map(reader.get_batch, range(reader.num_record_batches))
    else:
        yield from reader


def _length(column: Any) -> int:
    """Bytes of text, or number of ids."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_text(column.type):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    return len(column.flatten())
