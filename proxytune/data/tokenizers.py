"""How text becomes tokens: by its bytes, a tokenizer.json, or a .model of SentencePiece."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from proxytune.config.data import BYTES, DataSpec
from proxytune.data.stream import Ids
from proxytune.errors import InputError
from proxytune.libraries import require

USUAL_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "[SEP]")
"""Tokens that end a text, where the tokenizer's files do not say which."""


class Tokenizer(Protocol):
    """Text in, ids out; no token is added at either end."""

    key: str
    """A hash of everything that its ids depend on."""
    vocabulary: int
    """All ids are smaller."""

    def encode(self, texts: Sequence[bytes]) -> list[Ids]:
        """The ids of every text, on all cores. Raises UnicodeDecodeError for what is not UTF-8."""

    def end(self, token: int | str | None) -> int | None:
        """The id of the token that ends a text: the one that is given, else its own, if any.

        Raises InputError for a token that it does not have.
        """


def open_tokenizer(data: DataSpec) -> Tokenizer:
    """The tokenizer of the data block. Raises InputError if it cannot be used."""
    if data.tokenizer == BYTES:
        return Bytes()
    path = Path(data.tokenizer)
    if not path.is_file():
        raise InputError.of_field(
            "data.tokenizer",
            data.tokenizer,
            "no such file; give bytes, or the path of a tokenizer.json or of a .model",
        )
    return SentencePiece(path) if path.suffix == ".model" else HuggingFace(path)


class Bytes:
    """One token per byte; token 0 ends a text."""

    key, vocabulary = BYTES, 256

    def encode(self, texts: Sequence[bytes]) -> list[Ids]:
        """The bytes themselves."""
        return [np.frombuffer(text, np.uint8) for text in texts]

    def end(self, token: int | str | None) -> int | None:
        """A given byte, or 0."""
        if isinstance(token, str):
            token = token.encode()[0] if len(token.encode()) == 1 else self.vocabulary
        return _checked(0 if token is None else token, token, self.vocabulary)


class HuggingFace:
    """A tokenizer.json, by the library `tokenizers`, which uses all cores itself."""

    def __init__(self, path: Path) -> None:
        tokenizers = require("tokenizers")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise InputError.of_field(
                "data.tokenizer", str(path), f"is not a tokenizer.json ({error})"
            ) from None
        self._settings = path.with_name("tokenizer_config.json")
        digest = hashlib.sha256(path.read_bytes())
        if self._settings.is_file():
            digest.update(self._settings.read_bytes())
        self.key = digest.hexdigest()
        self.vocabulary = 1 + max(self._tokenizer.get_vocab().values(), default=-1)

    def encode(self, texts: Sequence[bytes]) -> list[Ids]:
        """Ids, without those of a template."""
        decoded = [text.decode() for text in texts]
        found = self._tokenizer.encode_batch_fast(decoded, add_special_tokens=False)
        return [np.array(one.ids, np.uint32) for one in found]

    def end(self, token: int | str | None) -> int | None:
        """By the text of a token, or what tokenizer_config.json calls `eos_token`."""
        if isinstance(token, int):
            return _checked(token, token, self.vocabulary)
        if token is not None:
            found = self._tokenizer.token_to_id(token)
            return _checked(self.vocabulary if found is None else found, token, self.vocabulary)
        known = (self._tokenizer.token_to_id(name) for name in (self._eos(), *USUAL_ENDS) if name)
        return next((found for found in known if found is not None), None)

    def _eos(self) -> str | None:
        try:
            told = json.loads(self._settings.read_text(encoding="utf-8")).get("eos_token")
        except (OSError, ValueError, AttributeError):
            return None
        content = told.get("content") if isinstance(told, dict) else told
        return content if isinstance(content, str) else None


class SentencePiece:
    """A .model, by the library `sentencepiece`."""

    def __init__(self, path: Path) -> None:
        sentencepiece = require("sentencepiece")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise InputError.of_field(
                "data.tokenizer", str(path), f"is not a model of SentencePiece ({error})"
            ) from None
        self.key = hashlib.sha256(path.read_bytes()).hexdigest()
        self.vocabulary = int(self._processor.get_piece_size())

    def encode(self, texts: Sequence[bytes]) -> list[Ids]:
        """Ids, without those of beginning and end."""
        decoded = [text.decode() for text in texts]
        threads = len(os.sched_getaffinity(0))
        found = self._processor.encode(decoded, out_type=int, num_threads=threads)
        return [np.array(ids, np.uint32) for ids in found]

    def end(self, token: int | str | None) -> int | None:
        """By the text of a piece, or the model's own `</s>`."""
        if isinstance(token, int):
            return _checked(token, token, self.vocabulary)
        if token is not None:
            found = int(self._processor.piece_to_id(token))
            unknown = found == self._processor.unk_id() and token != "<unk>"
            return _checked(self.vocabulary if unknown else found, token, self.vocabulary)
        own = int(self._processor.eos_id())
        return own if own >= 0 else None


def end_of_ids(tokenizer: Tokenizer | None, given: int | str | None) -> int | None:
    """The token between documents of ids, where the user says or a tokenizer knows.

    Raises InputError for the text of a token if there is no tokenizer.
    """
    if tokenizer is not None:
        return tokenizer.end(given)
    if isinstance(given, str):
        raise InputError.of_field(
            "data.end_of_text", given, "must be an id where there is no data.tokenizer"
        )
    return given


def _checked(found: int, given: int | str | None, vocabulary: int) -> int:
    if found >= vocabulary:
        raise InputError.of_field(
            "data.end_of_text", given, f"is no token of the tokenizer, which has {vocabulary}"
        )
    return found
