"""Tokens on disk, cached by content: one memory-mapped file per split."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from proxytune.config.data import DataSpec
from proxytune.data.corpus import Corpus, read_corpus
from proxytune.errors import InputError
from proxytune.files import write_once

TokenArray = npt.NDArray[np.uint8]

DOCUMENT_END = b"\0"
"""Token 0 separates documents."""
FORMAT = "1"
"""Part of the cache's key, to be raised when the way of writing tokens changes."""


@dataclass(frozen=True, slots=True)
class TokenData:
    """The tokens of both splits, one per byte."""

    train: TokenArray
    validation: TokenArray

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Maps the files that `prepare` wrote."""
        return cls(*(np.memmap(folder / f"{split}.bin", np.uint8, "r") for split in SPLITS))


SPLITS = ("train", "validation")


def prepare(data: DataSpec, seq_len: int, cache: Path) -> Path:
    """Reads the corpus and writes its tokens unless they are cached; returns their folder.

    Raises InputError for a corpus that is missing, empty or too short for one sequence of
    `seq_len` tokens (and the one to predict) in either split.
    """
    corpus = read_corpus(data)
    streams = {split: DOCUMENT_END.join(getattr(corpus, split)) for split in SPLITS}
    for split, stream in streams.items():
        if len(stream) < seq_len + 1:
            raise InputError.of_field(
                "data.text",
                list(data.text or ()),
                f"leaves {len(stream)} tokens for {split}; one sequence needs {seq_len + 1} "
                "(give more text, or a smaller proxy.seq_len)",
            )
    folder = cache / _key(corpus, data)

    def write(new: Path) -> None:
        new.mkdir()
        for split, stream in streams.items():
            (new / f"{split}.bin").write_bytes(stream)

    write_once(folder, write)
    return folder


def _key(corpus: Corpus, data: DataSpec) -> str:
    return hashlib.sha256(f"{FORMAT} {data.tokenizer} {corpus.digest}".encode()).hexdigest()[:16]
