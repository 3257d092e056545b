"""One process at a time, within one home. Across machines, a study has a lease."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxytune.errors import InputError, RunError


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Holds a lock file; the system frees it when the process ends in any way.

    Raises InputError that names the process that holds it, RunError if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(
                f"{what} is being run by {file.read().strip()}; wait for it, or stop it"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
