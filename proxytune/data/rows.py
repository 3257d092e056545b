"""Rows of a table -> a file of token ids: rows of text are tokenized, rows of ids are written."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from proxytune.config.data import BYTES, DataSpec
from proxytune.data.documents import PIECE, Documents, Place, cut_pieces, longest_piece
from proxytune.data.sampling import Sample
from proxytune.data.sources import Tell
from proxytune.data.stream import Ids, TokenFile
from proxytune.data.texts import Text, read_texts
from proxytune.data.tokenizers import Tokenizer, end_of_ids, open_tokenizer
from proxytune.errors import InputError

USUAL_COLUMNS = ("text", "input_ids", "tokens")
"""Columns of text or ids, in the order in which they are looked for."""


class Row(NamedTuple):
    """One document."""

    place: str
    """Where it comes from, for messages."""
    value: bytes | Ids
    """Its text, or its ids."""


class Table(Protocol):
    """The column of a corpus that holds its documents."""

    is_text: bool
    """Whether it holds text; else it holds ids."""

    def size(self) -> int:
        """Bytes of text, or number of ids, about."""

    def rows(self, share: float) -> Iterator[Row]:
        """All rows, or about a share of them, evenly spread."""


def tokenizer_of(table: Table, data: DataSpec) -> Tokenizer | None:
    """What the ids of the table are of, or will be; None if nobody says."""
    return open_tokenizer(data) if table.is_text or data.tokenizer != BYTES else None


def read_rows(
    table: Table,
    tokenizer: Tokenizer | None,
    end: int | str | None,
    sample: Sample,
    file: Path,
    tell: Tell,
) -> Documents:
    """The documents of a table, or a sample of them, in a file; `end` goes between them."""
    if table.is_text and tokenizer is not None:
        return read_texts(_Texts(table), tokenizer, tokenizer.end(end), sample, file, tell)
    return _read_ids(table, end_of_ids(tokenizer, end), sample, file, tell)


def column_of(columns: Sequence[str], given: str | None, field: str, path: Path) -> str:
    """The column to read. Raises InputError if it is not there."""
    for name in (given,) if given else USUAL_COLUMNS:
        if name in columns:
            return name
    wanted = given or f"none of {', '.join(USUAL_COLUMNS)}"
    raise InputError.of_field(
        "data.column", wanted, f"{path} of {field} has the columns {', '.join(columns) or 'none'}"
    )


def chosen(number: int, share: float) -> bool:
    """Whether a row is in the sample: evenly spaced ones are, about as many as the share says."""
    return share >= 1 or math.floor((number + 1.5) * share) > math.floor((number + 0.5) * share)


class _Texts:
    """The rows of a table of text, as texts; see Texts."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def size(self) -> int:
        """Of all text."""
        return self._table.size()

    def texts(self, share: float) -> Iterator[Text]:
        """One document per row."""
        for row in self._table.rows(share):
            yield Text(row.place, [bytes(row.value)])


def _read_ids(table: Table, end: int | None, sample: Sample, file: Path, tell: Tell) -> Documents:
    """Writes ids as four bytes each."""
    size = table.size()
    share = min(1.0, sample.tokens / max(1, size))
    lengths: list[int] = []
    largest, at = -1, ""
    with file.open("wb") as written:
        if end is not None:
            written.write(np.array([end], "<u4").tobytes())
        for place, value in table.rows(share):
            ids = np.asarray(value, np.int64)
            if not len(ids):
                continue
            high, low = int(ids.max()), int(ids.min())
            if low < 0 or high >= 2**32:
                raise InputError(
                    f"{place}: holds {low if low < 0 else high}, which is no token id"
                )
            if high > largest:
                largest, at = high, f"{place}, position {int(ids.argmax())}"
            written.write(ids.astype("<u4").tobytes())
            lengths.append(len(ids))
            if len(lengths) % 1000 == 0:
                tell(min(1.0, written.tell() / 4 / max(1, share * size)))
    tell(1.0)
    first = 0 if end is None else 1
    pieces = np.zeros(len(lengths), PIECE)
    pieces["length"] = lengths
    pieces["start"] = first + np.cumsum(pieces["length"]) - pieces["length"]
    tokens = sum(lengths)
    if sample.divided:
        pieces = cut_pieces(pieces, longest_piece(tokens))
    return Documents(
        files=(TokenFile(file, "<u4", 0, first + tokens),),
        pieces_P=pieces,
        bounded=True,
        corpus=tokens if share >= 1 else size,
        exact=share >= 1,
        separator=None if end is None else Place(0, 0),
        largest_at=at,
    )
