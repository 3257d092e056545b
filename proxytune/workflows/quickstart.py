"""A study and a target to start from, for those who have no repository beside them."""

import os
from functools import partial
from importlib.resources import files
from pathlib import Path

from proxytune.errors import InputError
from proxytune.files import write_once

STUDY, TARGET = "quickstart.yaml", "target.yaml"


def write_quickstart(folder: Path) -> tuple[Path, Path]:
    """Writes a study and a target that fits it into `folder`, made if need be: both or neither.

    Raises InputError if either is there already, and RunError if one cannot be written.
    """
    study, target = folder / STUDY, folder / TARGET
    for path in (study, target):
        if os.path.lexists(path):
            raise InputError.of_field(
                "folder", str(folder), f"holds a {path.name} already; name another folder"
            )
    try:
        for path in (study, target):
            write_once(path, partial(_copy, path.name))
    except BaseException:
        for path in (study, target):
            path.unlink(missing_ok=True)
        raise
    return study, target


def _copy(name: str, new: Path) -> None:
    new.write_bytes((files("proxytune") / "quickstart" / name).read_bytes())
