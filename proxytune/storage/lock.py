"""One process at a time, within one home. Across machines, a study has a lease."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxytune.errors import InputError


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Holds a lock file; the system frees it when the process ends in any way.

    Raises an InputError that names the process that holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
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
