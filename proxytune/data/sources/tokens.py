"""Files of token ids, which are mapped where they lie."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from proxytune.config.data import BYTES, DataSpec
from proxytune.data.documents import (
    PIECE,
    Documents,
    Pieces,
    Place,
    cut_pieces,
    longest_piece,
)
from proxytune.data.formats import Bounds, read_tokens
from proxytune.data.paths import found, require_files, without_copies
from proxytune.data.sampling import Sample, Stretch, stretches
from proxytune.data.sources import Tell
from proxytune.data.stream import Ids
from proxytune.data.tokenizers import Tokenizer, end_of_ids, open_tokenizer
from proxytune.errors import InputError

BESIDE = (".idx", ".index", ".metadata")
"""Endings of files that stand beside files of ids and are read with them."""
BLOCK = 2**20
"""Tokens in which an end is looked for at once."""
AHEAD = 2**16
"""Tokens after a stretch in which a document may end."""


class Source:
    """Files of token ids; see DataSource."""

    def __init__(self, data: DataSpec, field: str, patterns: Sequence[str]) -> None:
        self._field, self._dtype = field, data.dtype
        self.files: Sequence[Path] = found(field, patterns)
        require_files(field, self.files, ".bin")
        self.tokenizer: Tokenizer | None = (
            None if data.tokenizer == BYTES else open_tokenizer(data)
        )
        self._end = end_of_ids(self.tokenizer, data.end_of_text)

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Finds documents, and writes nothing."""
        contents = [read_tokens(path, self._dtype) for path in self._token_files()]
        sizes = [one.file.count for one in contents]
        mapped = [one.file.map() for one in contents]
        bounded = self._end is not None or all(one.bounds for one in contents)
        parts = stretches(sizes, sample.tokens)
        pieces: list[Pieces] = [np.zeros(0, PIECE)]
        for number, part in enumerate(parts):
            whole, tokens = contents[part.file], mapped[part.file]
            if not bounded:
                starts, ends = np.array([part.start]), np.array([part.stop])
            elif whole.bounds is not None:
                starts, ends = _of_bounds(whole.bounds, part, len(tokens))
            else:
                starts, ends = self._of_ends(tokens, part)
            pieces.append(self._pieces(part.file, tokens, starts, ends))
            tell((number + 1) / len(parts))
        found_P = np.concatenate(pieces)
        if sample.divided:
            found_P = cut_pieces(found_P, longest_piece(int(found_P["length"].sum())))
        return Documents(
            files=tuple(one.file for one in contents),
            pieces_P=found_P,
            bounded=bounded,
            corpus=sum(sizes),
            exact=True,
            separator=self._separator(found_P, mapped),
        )

    def _token_files(self) -> list[Path]:
        """The files of ids; those that stand beside them count as one with them."""
        given = [path for path in self.files if path.suffix not in BESIDE]
        given += [
            path.with_suffix(".bin")
            for path in self.files
            if path.suffix == ".idx" and path.with_suffix(".bin").is_file()
        ]
        if not given:
            raise InputError.of_field(
                self._field, str(self.files[0]), "holds no token ids, and its .bin is not there"
            )
        return without_copies(sorted(set(given)))

    def _of_ends(self, tokens: Ids, part: Stretch) -> tuple[Ids, Ids]:
        """Starts and ends of the documents that begin in a stretch, by the token between them."""
        before = max(0, part.start - 1)
        ends = np.concatenate(list(self._ends(tokens, before, part.stop)) or [_NONE])
        starts = np.concatenate([_FIRST if part.start == 0 else _NONE, ends + 1])
        starts = starts[starts < part.stop]
        if not len(starts):
            return np.array([part.start]), np.array([part.stop])
        ends = ends[ends >= starts[0]]
        if len(ends) < len(starts):
            limit = min(part.stop + AHEAD, len(tokens))
            beyond = next((e for e in self._ends(tokens, part.stop, limit) if len(e)), _NONE)
            ends = np.append(ends, beyond[0] if len(beyond) else limit)
        return starts, ends[: len(starts)]

    def _ends(self, tokens: Ids, start: int, stop: int) -> Iterator[Ids]:
        for begin in range(start, stop, BLOCK):
            yield begin + np.flatnonzero(tokens[begin : min(begin + BLOCK, stop)] == self._end)

    def _pieces(self, file: int, tokens: Ids, starts: Ids, ends: Ids) -> Pieces:
        """One piece per document, without the token that ends or begins it."""
        if self._end is not None:
            last = np.maximum(ends - 1, 0)
            starts = starts + ((starts < ends) & (tokens[np.minimum(starts, last)] == self._end))
            ends = ends - ((starts < ends) & (tokens[last] == self._end))
        pieces = np.zeros(len(starts), PIECE)
        pieces["file"], pieces["start"], pieces["length"] = file, starts, ends - starts
        return pieces[pieces["length"] > 0]

    def _separator(self, pieces_P: Pieces, mapped: Sequence[Ids]) -> Place | None:
        """Where the token between documents is, beside one of them."""
        if self._end is None:
            return None
        for file, start, length, *_ in pieces_P.tolist():
            for position in (start + length, start - 1):
                if 0 <= position < len(mapped[file]) and mapped[file][position] == self._end:
                    return Place(file, position)
        return None


_NONE = np.zeros(0, np.int64)
_FIRST = np.zeros(1, np.int64)


def _of_bounds(bounds: Bounds, part: Stretch, tokens: int) -> tuple[Ids, Ids]:
    """Starts and ends of the documents that begin in a stretch."""
    first, last = (_number_at(bounds, position) for position in (part.start, part.stop))
    numbers = np.arange(first, last)
    starts = bounds.starts(numbers)
    following = starts[1:] if last == bounds.count else bounds.starts(numbers + 1)
    ends = np.append(following, tokens) if last == bounds.count else following
    return starts, ends


def _number_at(bounds: Bounds, position: int) -> int:
    """The first document that begins there or later."""
    low, high = 0, bounds.count
    while low < high:
        middle = (low + high) // 2
        if int(bounds.starts(np.array([middle]))[0]) < position:
            low = middle + 1
        else:
            high = middle
    return low
