"""Texts -> a file of token ids: cut, tokenized batch by batch, and written, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from proxytune.data.documents import (
    FEWEST,
    LONGEST,
    PIECE,
    Documents,
    Pieces,
    Place,
    longest_piece,
)
from proxytune.data.sampling import Sample
from proxytune.data.stream import Ids, TokenFile
from proxytune.data.tokenizers import Tokenizer
from proxytune.errors import InputError

WHOLE = 2**20
"""Longest piece, in bytes, of a text that keeps its order."""
BATCH = 2**22
"""Bytes of text that are tokenized together."""
PROBE = 2**20
"""Bytes of text by which the number of tokens per byte is estimated."""


class Text(NamedTuple):
    """One document's text."""

    place: str
    """Where it comes from, for messages."""
    chunks: Iterable[bytes]
    """All of it, in parts of any length."""


class Texts(Protocol):
    """Documents of a corpus, as text."""

    def size(self) -> int:
        """Bytes of text, about."""

    def texts(self, share: float) -> Iterator[Text]:
        """The documents, or about a share of them, evenly spread."""


class Part(NamedTuple):
    """A piece of a text, to be tokenized."""

    place: str
    text: bytes
    continues: bool


def read_texts(
    corpus: Texts,
    tokenizer: Tokenizer,
    end: int | None,
    sample: Sample,
    file: Path,
    tell: Callable[[float], object],
) -> Documents:
    """Tokenizes a corpus, or a sample of it, into a file; `end` is the token between documents."""
    size = corpus.size()
    share = 1.0
    if size > sample.tokens:
        probe = _parts(corpus, PROBE / size, WHOLE, tokenizer)
        share = min(1.0, sample.tokens / max(1.0, size * _tokens_per_byte(tokenizer, probe)))
    longest = _longest(corpus) if sample.divided else WHOLE
    dtype = _dtype(tokenizer)
    pieces: list[Pieces] = [np.zeros(0, PIECE)]
    position = done = 0
    with file.open("wb") as written:
        if end is not None:
            position = written.write(np.array([end], dtype).tobytes()) // dtype.itemsize
        for batch in _batches(_parts(corpus, share, longest, tokenizer)):
            ids = _encoded(tokenizer, batch)
            rows = np.zeros(len(batch), PIECE)
            rows["length"] = [len(one) for one in ids]
            rows["bytes"] = [len(part.text) for part in batch]
            rows["continues"] = [part.continues and not sample.divided for part in batch]
            rows["start"] = position + np.cumsum(rows["length"]) - rows["length"]
            written.write(np.concatenate(ids).astype(dtype).tobytes())
            position += int(rows["length"].sum())
            done += int(rows["bytes"].sum())
            pieces.append(rows[rows["length"] > 0])
            tell(min(1.0, done / max(1.0, share * size)))
    found = np.concatenate(pieces)
    tokens = int(found["length"].sum())
    return Documents(
        files=(TokenFile(file, dtype.str, 0, position),),
        pieces_P=found,
        bounded=True,
        corpus=tokens if share == 1 else round(tokens * size / max(1, done)),
        exact=share == 1,
        separator=None if end is None else Place(0, 0),
    )


def cut(chunks: Iterable[bytes], longest: int, characters: bool = False) -> Iterator[bytes]:
    """Cuts a long text, at the end of a line if there is one.

    Where there is none, the cut is anywhere, or between two `characters` of UTF-8.
    """
    held = b""
    for chunk in chunks:
        held += chunk
        start = 0
        while len(held) - start > longest:
            end = start + longest
            line_end = held.rfind(b"\n", start, end) + 1
            if line_end > start:
                end = line_end
            elif characters:
                end = start + len(whole_characters(held[start:end])) or end
            yield held[start:end]
            start = end
        held = held[start:]
    if held:
        yield held


def whole_characters(text: bytes) -> bytes:
    """The text without the beginning of a character that is cut off at its end."""
    # A character has up to four bytes; those after its first are 10xxxxxx.
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte & 0b1100_0000 != 0b1000_0000:
            needs = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text if needs <= back else text[:-back]
    return text


def _longest(corpus: Texts) -> int:
    """Longest piece for a corpus that is to be split, which a small one's size decides."""
    total = 0
    for chunk in chain.from_iterable(text.chunks for text in corpus.texts(1.0)):
        total += len(chunk)
        if total >= FEWEST * LONGEST:
            return LONGEST
    return longest_piece(total)


def _parts(corpus: Texts, share: float, longest: int, tokenizer: Tokenizer) -> Iterator[Part]:
    for place, chunks in corpus.texts(share):
        continues = False
        for text in cut(chunks, longest, characters=tokenizer.vocabulary != 256):
            yield Part(place, text, continues)
            continues = True


def _batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    size = 0
    for part in parts:
        batch.append(part)
        size += len(part.text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encoded(tokenizer: Tokenizer, batch: list[Part]) -> list[Ids]:
    try:
        return tokenizer.encode([part.text for part in batch])
    except UnicodeDecodeError as error:
        place = next((part.place for part in batch if part.text == error.object), "")
        raise InputError(
            f"{place}: is not UTF-8 text ({error.reason}), so the tokenizer cannot take it; "
            "convert it, or write data.tokenizer: bytes"
        ) from None


def _tokens_per_byte(tokenizer: Tokenizer, parts: Iterator[Part]) -> float:
    batch = next(_batches(parts), [])
    tokens = sum(map(len, _encoded(tokenizer, batch))) if batch else 0
    return max(1, tokens) / max(1, sum(len(part.text) for part in batch))


def _dtype(tokenizer: Tokenizer) -> np.dtype[np.unsignedinteger]:
    """The smallest that holds the vocabulary; one byte for bytes only."""
    if tokenizer.vocabulary == 256:
        return np.dtype(np.uint8)
    return np.dtype("<u2") if tokenizer.vocabulary <= 2**16 else np.dtype("<u4")
