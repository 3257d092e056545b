"""Files and folders that are written under another name, and get their own when they are whole."""

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxytune.errors import RunError

_WRITING = ".writing-"
LEFT_SECONDS = 24 * 3600.0
"""For how long nothing was written to what a killed process has left."""


def replace(path: Path, write: Callable[[Path], object], new: Path | None = None) -> None:
    """Has a file or folder written as `new`, by default beside it, and gives it its name.

    Whoever looks at `path` sees what was there before, or all of what is new. Raises RunError
    that names `path` if it cannot be written; nothing is left of it then.
    """
    _write(path, write, new or path.with_name(f".{path.name}.new"), os.replace)


def write_json(path: Path, document: Any) -> None:
    """Writes the document; a file that is there is replaced as a whole."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    replace(path, lambda new: new.write_text(text + "\n", encoding="utf-8"))


def write_once(path: Path, write: Callable[[Path], object]) -> None:
    """Has a file or folder written, unless it is there.

    Several processes may do so at once: that of the first stays, and each finds it whole.
    Raises RunError as `replace` does.
    """
    if path.exists():
        return
    _clear(path.parent)
    try:
        _write(path, write, path.with_name(f"{_WRITING}{uuid.uuid4().hex}"), _name_first)
    except RunError:
        # Another process may have been first.
        if not path.exists():
            raise


def _write(
    path: Path,
    write: Callable[[Path], object],
    new: Path,
    give_name: Callable[[Path, Path], object],
) -> None:
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(new)
        _sync(new)
        give_name(new, path)
    except OSError as error:
        # By number: some libraries put a text of their own in the place of the system's.
        reason = os.strerror(error.errno) if error.errno else error
        raise RunError(f"{path}: cannot be written ({reason})") from error
    finally:
        _remove(new)


def _name_first(new: Path, path: Path) -> None:
    """Gives a name that nothing has. Raises OSError if something has it."""
    if new.is_dir():
        # Refused by the system where a folder with something in it has the name.
        os.replace(new, path)
    else:
        os.link(new, path)


def _clear(folder: Path) -> None:
    """Removes what others, long ago, were killed in the middle of writing once."""
    for left in folder.glob(f"{_WRITING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                _remove(left)


def _sync(written: Path) -> None:
    """Has what was written reach the disk: a name must not be there before its contents."""
    for file in written.iterdir() if written.is_dir() else (written,):
        with file.open("rb") as contents:
            os.fsync(contents.fileno())


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        # What cannot be removed is no reason to hide why it could not be written.
        with suppress(OSError):
            leftover.unlink()
