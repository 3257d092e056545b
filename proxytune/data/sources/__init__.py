"""Where a corpus comes from: one file per source.

A source is added by its file here, with a class `Source`, and a field of the same name, of type
`Source`, in `config/data.py`.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from proxytune.config.data import DataSpec
from proxytune.data.documents import Documents
from proxytune.data.sampling import Sample
from proxytune.data.tokenizers import Tokenizer

Tell = Callable[[float], object]
"""Told which share of the reading is done."""

DEFAULT = "library"
"""The source where the user names none."""


class DataSource(Protocol):
    """A corpus. Made from the data block, the field that names its files, and their names.

    Making it finds the files, and raises InputError if there are none.
    """

    @property
    def files(self) -> Sequence[Path]:
        """What it reads: the cached tokens are used until one of them changes."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What its ids are of, as far as that is known before it is read."""

    def read(self, sample: Sample, file: Path, tell: Tell) -> Documents:
        """Its documents, or an even sample of them.

        What is not in files of token ids is written to `file`; the same input always gives the
        same tokens. Raises InputError for a corpus of another kind, or a damaged one.
        """


def open_sources(data: DataSpec) -> dict[str, DataSource]:
    """The corpus, and the files to validate on if there are any, by the fields that name them."""
    kind = data.source
    make = import_module(f"{__name__}.{kind or DEFAULT}").Source
    if kind is None:
        return {"data.text": make(data)}
    sources = {f"data.{kind}": make(data, f"data.{kind}", getattr(data, kind))}
    if data.validation is not None:
        sources["data.validation"] = make(data, "data.validation", data.validation)
    return sources
