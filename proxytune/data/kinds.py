"""What a file is by its contents, if not what was asked for; and what to write instead."""

import re
from pathlib import Path
from typing import NamedTuple

SHOWN = 64 * 1024
"""Bytes at the beginning of a file that are looked at."""


class Kind(NamedTuple):
    """What a file is, in words."""

    found: str
    """As the middle of a sentence: `is a Parquet file`."""
    instead: str
    """What to write."""


PICKLE = Kind("is a pickle, which can run any code and is never loaded", "save ids as .npy")
TEXT = Kind("is text", "write data.text")
BINARY = Kind(
    "is binary, not text",
    "if it holds token ids, write data.tokens (and data.dtype: uint16 or uint32)",
)
NUMBERS = Kind(
    "holds nothing but whole numbers, as token ids",
    "save them as a .npy file and write data.tokens",
)
TOKENS = Kind("holds token ids", "write data.tokens")
PARQUET = Kind("is a Parquet or Arrow file", "write data.parquet")
PACKED = Kind("is compressed", "unpack it, or write data.jsonl if it is JSON lines")
MAGICS = {
    b"PAR1": PARQUET,
    b"ARROW1": PARQUET,
    b"\x1f\x8b": PACKED,
    b"\x28\xb5\x2f\xfd": PACKED,
    b"BZh": PACKED,
    b"\xfd7zXZ": PACKED,
    b"PK\x03\x04": Kind("is an archive, such as .npz or .pt", "save ids as .npy"),
    b"\x93NUMPY": TOKENS,
    b"MMIDIDX": TOKENS,
    b"\x88\xd8\x34\x01": TOKENS,
    b"\xa1\xd9\x34\x01": TOKENS,
}
"""Beginning of a file -> its kind; the last two are llm.c's magic numbers."""
PICKLES = (".pkl", ".pickle")


def kind_of(path: Path) -> Kind | None:
    """The kind of a file that cannot be bare token ids; None if it can be."""
    begin, size = _begin(path), path.stat().st_size
    if _is_pickle(path, begin, size):
        return PICKLE
    for magic, kind in MAGICS.items():
        if begin.startswith(magic):
            return kind
    return TEXT if _is_text(begin) else None


def kind_of_binary(path: Path) -> Kind | None:
    """The kind of a file that is not text; None if it is."""
    kind = kind_of(path)
    if kind not in (None, TEXT):
        return kind
    begin = _begin(path)
    if b"\0" in begin or _controls(begin) > len(begin) / 10:
        return BINARY
    # A table may hold some numbers; a thousand of them and nothing else are token ids.
    is_numbers = len(begin) > 4000 and re.fullmatch(rb"[\d\s,\[\]]*", begin) and b" " in begin
    return NUMBERS if is_numbers else None


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SHOWN)


def _is_pickle(path: Path, begin: bytes, size: int) -> bool:
    if path.suffix in PICKLES:
        return True
    # Protocols 2 to 5: the first operation says which, and the last byte is STOP.
    framed = re.match(rb"\x80[\x04\x05]\x95|\x80[\x02\x03][\]}(cX]", begin)
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        return framed is not None and file.read(1) == b"."


def _is_text(begin: bytes) -> bool:
    """Whether it is UTF-8 and has no control characters, as ids of two or four bytes would."""
    try:
        begin.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut off.
        if error.start < len(begin) - 8:
            return False
    return len(begin) > 16 and b"\0" not in begin and _controls(begin) == 0


def _controls(begin: bytes) -> int:
    """Number of bytes that text does not have."""
    return len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", begin))
