"""Files and folders that are written under another name and renamed when they are complete."""

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from proxytune.errors import RunError

_WRITING = ".writing-"
LEFT_SECONDS = 24 * 3600.0
"""Age at which a half-written file counts as left behind by a killed process."""


def replace(path: Path, write: Callable[[Path], object], new: Path | None = None) -> None:
    """Has a file or folder written as `new`, by default beside `path`, and renames it to `path`.

    Readers of `path` see the old contents or all of the new ones. Raises a RunError that names
    `path` if it cannot be written; then nothing is left behind.
    """
    _write(path, write, new or path.with_name(f".{path.name}.new"), os.replace)


def write_json(path: Path, document: Any) -> None:
    """Writes a document as JSON; an existing file is replaced as a whole."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    replace(path, lambda new: new.write_text(text + "\n", encoding="utf-8"))


def write_once(path: Path, write: Callable[[Path], object]) -> None:
    """Has a file or folder written if it does not exist.

    Several processes may do so at the same time: the first one's stays, and all find it
    complete. Raises RunError as `replace` does.
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


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder to write in; what is still there at the end is removed.

    Raises RunError as `replace` does.
    """
    _clear(parent)
    new = parent / f"{_WRITING}{uuid.uuid4().hex}"
    try:
        new.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{parent}: cannot be written ({os.strerror(error.errno or 0)})") from error
    try:
        yield new
    finally:
        _remove(new)
        # It may have been made for this alone.
        with suppress(OSError):
            parent.rmdir()


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
        # By number, since some libraries replace the system's text with their own.
        reason = os.strerror(error.errno) if error.errno else error
        raise RunError(f"{path}: cannot be written ({reason})") from error
    finally:
        _remove(new)


def _name_first(new: Path, path: Path) -> None:
    """Renames, but raises OSError if the name is in use."""
    if new.is_dir():
        # The system refuses this if a folder with contents has the name.
        os.replace(new, path)
    else:
        os.link(new, path)


def _clear(folder: Path) -> None:
    """Removes half-written files that killed processes left long ago."""
    for left in folder.glob(f"{_WRITING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                _remove(left)


def _sync(written: Path) -> None:
    """Syncs to disk, so that the name is never there before the contents."""
    for file in written.iterdir() if written.is_dir() else (written,):
        with file.open("rb") as contents:
            os.fsync(contents.fileno())


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        # A failure to remove must not hide the reason of the failure to write.
        with suppress(OSError):
            leftover.unlink()
