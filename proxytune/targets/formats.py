"""Whose model files can be read: one reader per format, behind one interface."""

from pathlib import Path
from typing import Any, Protocol

from proxytune.errors import InputError
from proxytune.targets.architecture import Architecture
from proxytune.targets.huggingface.reader import HuggingFace
from proxytune.targets.litgpt import LitGpt
from proxytune.targets.megatron import Megatron


class Format(Protocol):
    """A program's way of writing down its models."""

    @property
    def file_name(self) -> str | None:
        """What the file is called in a model's folder; None: it has no usual name."""

    def document(self, path: Path, text: str) -> dict[str, Any] | None:
        """The fields of a file; None if it is of another format.

        Asked of every file in turn, so it reads `text` and decides. Raises InputError for a file
        of this format that is broken.
        """

    def read(self, document: dict[str, Any], where: object) -> Architecture:
        """The model that the fields describe; `where` starts every message.

        Raises InputError for fields that are wrong, and for a model that no shape describes.
        """


FORMATS: tuple[Format, ...] = (HuggingFace(), LitGpt(), Megatron())
"""In the order in which a folder is looked through."""


def file_in(place: Path) -> Path:
    """The file itself, or the model file in a folder. Raises InputError where there is none."""
    if not place.is_dir():
        return place
    names = [fmt.file_name for fmt in FORMATS if fmt.file_name is not None]
    for name in names:
        if (place / name).is_file():
            return place / name
    raise InputError(f"{place}: is a folder without a {' or a '.join(names)}")


def architecture_in(path: Path, text: str) -> Architecture | None:
    """The model that a file with this text describes; None if no format is known for it."""
    for fmt in FORMATS:
        document = fmt.document(path, text)
        if document is not None:
            return fmt.read(document, path)
    return None
