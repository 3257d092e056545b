"""The documents of a corpus, as pieces of token files, and their split.

Notation: P pieces.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from proxytune.data.stream import SPAN, Spans, TokenFile, TokenReader

LONGEST = 64 * 1024
"""Longest piece, in bytes of text or in tokens, of a document that is to be split."""
FEWEST = 40
"""A corpus smaller than this many longest pieces is cut into smaller ones."""
BLOCK = 2**20
"""Tokens that are looked at together."""

PIECE = np.dtype(
    [("file", "<u4"), ("start", "<i8"), ("length", "<i8"), ("bytes", "<i8"), ("continues", "?")]
)
"""`length` tokens of a file, from `start` on, which stand for so many bytes of text, 0 if nobody
knows; `continues` if the document goes on from the piece before."""
Pieces = npt.NDArray[np.void]
"""An array of PIECE."""
Order = npt.NDArray[np.int64]
"""Indices of pieces."""


class Place(NamedTuple):
    """One token: in which file, and where."""

    file: int
    position: int


@dataclass(frozen=True, slots=True)
class Documents:
    """What a source has read of its corpus."""

    files: tuple[TokenFile, ...]
    pieces_P: Pieces
    bounded: bool
    """Whether pieces are documents, or parts of them; else they are stretches by position."""
    corpus: int
    """Tokens of the whole corpus, of which this may be a sample."""
    exact: bool
    """Whether `corpus` is counted, not estimated."""
    separator: Place | None
    """Where a token is that goes between documents; None: nothing goes between."""
    largest_at: str = ""
    """Where the user finds the largest token, if not in `files`."""

    @property
    def end(self) -> int | None:
        """The token that goes between documents."""
        if self.separator is None:
            return None
        return int(self.files[self.separator.file].map()[self.separator.position])

    def spans(self, order: Order) -> Spans:
        """These pieces one after the other, with a separator between documents."""
        names = list(SPAN.names or ())
        pieces = self.pieces_P[order]
        if self.separator is None:
            return pieces[names].astype(SPAN)
        joined = np.zeros(2 * len(pieces), SPAN)
        joined[:] = (*self.separator, 1)
        joined[1::2] = pieces[names].astype(SPAN)
        follows = np.diff(order, prepend=-2) == 1
        kept = np.ones(len(joined), bool)
        kept[0::2] = ~(pieces["continues"] & follows)
        kept[:1] = False
        return joined[kept]


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over all pieces has found."""

    digests: list[bytes]
    """A hash of every piece's tokens, whatever their type."""
    largest: int
    """The largest token, or the smallest if one is negative."""
    at: Place
    """Where it is."""


def survey(documents: Documents) -> Survey:
    """Reads every piece once."""
    digests: list[bytes] = []
    largest, at = 0, Place(0, 0)
    with TokenReader(documents.files) as reader:
        for file, start, length, *_ in documents.pieces_P.tolist():
            digest = hashlib.sha256()
            for begin in range(start, start + length, BLOCK):
                block = reader.read(file, begin, min(BLOCK, start + length - begin))
                high, low = int(block.max()), int(block.min())
                extreme = low if low < 0 else high
                if (largest >= 0 and extreme > largest) or extreme < min(0, largest):
                    largest = extreme
                    at = Place(file, begin + int((block == extreme).argmax()))
                # One byte per token is hashed as the text that it is, others as four bytes each.
                ids = block if block.itemsize == 1 else block.astype("<u4")
                digest.update(ids.tobytes())
            digests.append(digest.digest())
    return Survey(digests, largest, at)


def divide(
    documents: Documents, digests: list[bytes], validation_fraction: float
) -> tuple[Order, Order]:
    """The pieces to train on, and those to validate on.

    Documents are split at random, by their tokens alone: order and names of files do not matter,
    and no document, nor a copy of it, is in both. Stretches by position keep their order, and
    those to validate on are evenly spaced.
    """
    if not documents.bounded:
        return _by_position(len(documents.pieces_P), validation_fraction)
    by_digest = dict(zip(digests, range(len(digests)), strict=True))
    ordered = np.array([by_digest[digest] for digest in sorted(by_digest)], np.int64)
    length_P = documents.pieces_P["length"][ordered]
    taken_P = np.cumsum(length_P) - length_P
    count = int(np.count_nonzero(taken_P < validation_fraction * length_P.sum()))
    return ordered[count:], ordered[:count]


def _by_position(pieces: int, validation_fraction: float) -> tuple[Order, Order]:
    # Half a step ahead, so that the first and the last piece are to train on where they can be.
    steps = np.floor(np.arange(pieces + 1) * validation_fraction + 0.5)
    held_out = np.diff(steps) > 0
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def longest_piece(total: int) -> int:
    """Longest piece of a corpus that is to be split, so large in bytes or tokens."""
    return max(1, min(LONGEST, total // FEWEST))


def cut_pieces(pieces: Pieces, longest: int) -> Pieces:
    """The same with pieces cut that are longer, at any token."""
    parts = -(-pieces["length"] // longest)
    cut = np.repeat(pieces, parts)
    before = np.arange(len(cut)) - np.repeat(np.cumsum(parts) - parts, parts)
    cut["start"] += before * longest
    cut["length"] = np.minimum(longest, cut["length"] - before * longest)
    return cut
