"""The processes of a user's own trainer, told by their environment, and whether they end."""

import time
from contextlib import suppress
from pathlib import Path

import psutil

WAIT_SECONDS = 40.0
"""For a trainer that has half a minute to end, when its worker is killed."""


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those that train a run below a folder, and all that they have started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("PROXYTUNE_RUN", "").startswith(f"{folder}/")
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def left_running(folder: Path, seconds: float = WAIT_SECONDS) -> list[psutil.Process]:
    """Those that do not end in that time."""
    until = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    return left
