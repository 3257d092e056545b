"""Files and folders that are written under another name, and get their own when they are whole."""

import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from proxytune.errors import RunError


def replace(path: Path, write: Callable[[Path], object], new: Path | None = None) -> None:
    """Has a file or folder written as `new`, by default beside it, and gives it its name.

    Whoever looks at `path` sees what was there before, or all of what is new. Raises RunError
    that names `path` if it cannot be written; nothing is left of it then.
    """
    new = new or path.with_name(f".{path.name}.new")
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(new)
        _sync(new)
        os.replace(new, path)
    except OSError as error:
        # By number: some libraries put a text of their own in the place of the system's.
        reason = os.strerror(error.errno) if error.errno else error
        raise RunError(f"{path}: cannot be written ({reason})") from error
    finally:
        _remove(new)


def write_once(folder: Path, write: Callable[[Path], object]) -> None:
    """Has a folder written whose name tells its contents, unless it is there; `write` fills it.

    Several processes may do so at once: each finds it whole. Raises RunError as `replace` does.
    """

    def make(new: Path) -> None:
        new.mkdir()
        write(new)

    if folder.is_dir():
        return
    try:
        replace(folder, make, folder.with_name(f".writing-{uuid.uuid4().hex}"))
    except RunError:
        # Another process may have been first; its files hold the same bytes.
        if not folder.is_dir():
            raise


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
