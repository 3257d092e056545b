"""Exported settings, and a trainer's own, read from files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxytune.config.load import read_text, validate
from proxytune.errors import InputError
from proxytune.exports.document import ExportDocument
from proxytune.exports.report import DOCUMENT

if TYPE_CHECKING:
    from proxytune.models.portable import Projection


def load_document(folder: str | Path) -> ExportDocument:
    """The document in an exported folder. Raises InputError where there is none."""
    path = Path(folder)
    file = path / DOCUMENT if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{folder}: holds no {DOCUMENT}; make it with: proxytune export --for pytorch"
        )
    return validate(ExportDocument, load_json(file), file)


def load_projection(folder: str | Path) -> "Projection":
    """The settings in an exported folder, to be applied to a model.

    Raises InputError where there are none. The object's methods raise ValueError for a model that
    they do not fit.
    """
    from proxytune.models.portable import Projection

    return Projection(load_document(folder).document())


def load_json(path: Path) -> Any:
    """What a JSON file holds. Raises InputError where it holds none."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None
