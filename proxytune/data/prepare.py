"""Corpus -> the folder of its tokens, read once and kept until a file changes."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents, Order, Survey, divide, survey
from proxytune.data.paths import key_of
from proxytune.data.sampling import Sample
from proxytune.data.sources import DataSource, Tell, open_sources
from proxytune.data.tokens import SPLITS, Split, facts_of, is_here, save
from proxytune.errors import InputError, RunError
from proxytune.files import scratch, write_json, write_once
from proxytune.packs.corpus import CorpusFacts

FORMAT = "2"
"""Part of the cache's key, to be raised when the way of reading or writing tokens changes."""
KEYS = "keys"
"""Folder of the cache that says which tokens belong to which files."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a corpus is read."""

    share: float
    """What is done of it."""
    facts: CorpusFacts | None = None
    """What it holds; None until the end."""


def prepare(
    data: DataSpec,
    seq_len: int,
    cache: Path,
    *,
    reads: int = 0,
    vocab_size: int | None = None,
    observe: Callable[[Reading], object] = lambda reading: None,
) -> Path:
    """Reads the corpus unless its tokens are cached; returns their folder, named by their hash.

    reads: tokens that a training run reads, by which a sample of a large corpus is measured.
    vocab_size: what the proxy holds; None: any.
    observe: told how far the reading is; not called for tokens that are cached.

    Raises InputError for a corpus that is missing, empty, of another kind than it is said to be,
    too short for one sequence of `seq_len` tokens (and the one to predict) in either split, or
    with a token beyond the vocabulary. Raises RunError where nothing can be written.
    """
    sample = Sample.of(data, reads)
    try:
        sources = open_sources(data)
        key = _key(sources, data, sample)
    except OSError as error:
        raise _unreadable(f"data.{data.source or 'text'}", error, cache) from None
    for field, source in sources.items():
        _require_vocabulary(source, field, vocab_size)

    def usable(facts: CorpusFacts) -> None:
        _require_usable(facts, data, seq_len, vocab_size)

    known = cache / KEYS / f"{key}.json"
    folder = _cached(known, cache)
    if folder is None:
        with scratch(cache) as new:
            found = _read(sources, data, sample, new, lambda share: observe(Reading(share)))
            folder = _saved(found, sources, data, new, cache / key, usable)
        write_json(known, {"tokens": folder.name})
        observe(Reading(1.0, facts_of(folder)))
    else:
        usable(facts_of(folder))
    return folder


def _cached(known: Path, cache: Path) -> Path | None:
    with suppress(OSError, ValueError, KeyError):
        folder = cache / str(json.loads(known.read_text(encoding="utf-8"))["tokens"])
        return folder if is_here(folder) else None
    return None


def _key(sources: dict[str, DataSource], data: DataSpec, sample: Sample) -> str:
    """Of everything that the tokens depend on."""
    tokenizer = next(iter(sources.values())).tokenizer
    told = (
        FORMAT,
        data.source,
        tokenizer and tokenizer.key,
        data.model_dump_json(exclude={"sample", "tokenizer", *data.sources(), "validation"}),
        sample,
        [key_of(source.files) for source in sources.values()],
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _read(
    sources: dict[str, DataSource], data: DataSpec, sample: Sample, new: Path, tell: Tell
) -> list[Documents]:
    found = []
    for number, (field, source) in enumerate(sources.items()):

        def share(of_source: float, before: int = number) -> None:
            tell((before + of_source) / len(sources))

        try:
            documents = source.read(sample, new / f"{number}.bin", share)
        except OSError as error:
            raise _unreadable(field, error, new) from None
        if not len(documents.pieces_P):
            raise InputError.of_field(field, _given(data, field), "holds no text or tokens")
        found.append(documents)
    return found


def _saved(
    found: Sequence[Documents],
    sources: dict[str, DataSource],
    data: DataSpec,
    new: Path,
    by_key: Path,
    usable: Callable[[CorpusFacts], object],
) -> Path:
    """Splits what was found, and writes the folder.

    Its name is a hash of its tokens, so that it is the same wherever the corpus is. Tokens that
    lie in the user's files may change there: such a folder is named by its key, `by_key`.
    """
    surveys = [survey(documents) for documents in found]
    if data.validation is None:
        orders = divide(found[0], surveys[0].digests, data.validation_fraction)
    else:
        orders = (np.arange(len(found[0].pieces_P)), np.arange(len(found[1].pieces_P)))
    splits, digest = {}, hashlib.sha256(FORMAT.encode())
    for name, documents, of_pieces, order in zip(
        SPLITS, (found[0], found[-1]), (surveys[0], surveys[-1]), orders, strict=True
    ):
        spans = documents.spans(order)
        splits[name] = Split(documents.files, spans)
        digest.update(b"".join(of_pieces.digests[piece] for piece in order.tolist()))
        digest.update(repr((len(spans), documents.end)).encode())
    tokenizer = next(iter(sources.values())).tokenizer
    vocabulary = tokenizer.vocabulary if tokenizer else None
    facts = _facts(found, surveys, splits, orders[1], vocabulary, digest.hexdigest()[:16])
    usable(facts)
    save(new, splits, facts)
    inside = all(file.path.parent == new for documents in found for file in documents.files)
    folder = by_key.with_name(facts.digest) if inside else by_key
    if not is_here(folder):
        # Somebody has removed a part of it.
        shutil.rmtree(folder, ignore_errors=True)
    write_once(folder, lambda place: os.replace(new, place))
    return folder


def _facts(
    found: Sequence[Documents],
    surveys: Sequence[Survey],
    splits: dict[str, Split],
    held_out: Order,
    vocabulary: int | None,
    digest: str,
) -> CorpusFacts:
    lengths = {name: int(split.spans_S["length"].sum()) for name, split in splits.items()}
    worst = max(surveys, key=lambda one: (one.largest < 0, one.largest))
    documents = found[surveys.index(worst)]
    place = f"{documents.files[worst.at.file].path}, position {worst.at.position}"
    text_bytes = int(found[-1].pieces_P["bytes"][held_out].sum())
    return CorpusFacts(
        **lengths,
        corpus=sum(documents.corpus for documents in found),
        exact=all(documents.exact for documents in found),
        vocabulary=vocabulary,
        largest=worst.largest,
        largest_at=documents.largest_at or place,
        bytes_per_token=text_bytes / lengths["validation"] if text_bytes else None,
        digest=digest,
    )


def _require_vocabulary(source: DataSource, field: str, vocab_size: int | None) -> None:
    """Refuses a tokenizer whose vocabulary the proxy does not hold, before anything is read."""
    needs = source.tokenizer.vocabulary if source.tokenizer else 0
    if vocab_size is not None and needs > vocab_size:
        raise InputError.of_field(
            "proxy.vocab_size",
            vocab_size,
            f"the tokenizer of {field} has {needs} tokens; leave vocab_size out, or give {needs}",
        )


def _require_usable(
    facts: CorpusFacts, data: DataSpec, seq_len: int, vocab_size: int | None
) -> None:
    field = f"data.{data.source or 'text'}"
    for split in SPLITS:
        tokens = getattr(facts, split)
        if tokens < seq_len + 1:
            raise InputError.of_field(
                "data.validation" if split == "validation" and data.validation else field,
                _given(data, field),
                f"leaves {tokens} tokens for {split}; one sequence needs {seq_len + 1} "
                "(give more text, or a smaller proxy.seq_len)",
            )
    if facts.largest < 0 or (vocab_size is not None and facts.largest >= vocab_size):
        raise InputError.of_field(
            field,
            _given(data, field),
            f"token {facts.largest} ({facts.largest_at}) is not in the vocabulary of "
            f"proxy.vocab_size = {vocab_size}; give the tokens' own vocab_size, or their dtype",
        )


def _given(data: DataSpec, field: str) -> object:
    paths = getattr(data, field.removeprefix("data."))
    return list(paths) if paths else "the standard library"


def _unreadable(field: str, error: OSError, new: Path) -> InputError | RunError:
    """What went wrong with a file that is read, or with the one that is written."""
    reason = os.strerror(error.errno) if error.errno else error
    if error.filename is None or str(error.filename).startswith(str(new)):
        return RunError(f"{new.parent}: cannot be written ({reason})")
    return InputError.of_field(field, str(error.filename), f"cannot be read: {reason}")
