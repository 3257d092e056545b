"""Runs a trainer's command, and leaves nothing of it behind. Started as a file by its path.

usage: supervisor.py JOB, an object {"command": [...], "folder": ..., "run": ..., "grace": seconds}

It is no child of the worker that asks for it, since Ray kills the children of its workers. They
talk through pipes. The end of its stdin, which comes too if the worker is killed, ends the
command: a file `stop`, SIGTERM, and SIGKILL after `grace`. Its stdout is one line of JSON,
{"exit": code} or {"cannot_start": why}. Until then it holds the folder's lock, so that an attempt
never meets the one before it. On Linux it also ends processes that the command has put into the
background.

Standard library only: it starts in some milliseconds, in any Python.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

LOOK_SECONDS = 0.03
"""Between looks at the command."""
STOP = "stop"
"""The file that asks a trainer to end."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Of <sys/prctl.h>."""

LIBRARY = ctypes.CDLL(None)

_told_to_stop = False


def main() -> None:
    """Runs the job, watched by another process: if either is killed, the other one ends it."""
    if os.fork():
        os._exit(0)
    job = json.loads(sys.argv[1])
    try:
        # Held until both have ended.
        lock = os.open(f"{job['run']}/.lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        return _answer({"cannot_start": str(error)})
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    watcher = os.getpid()
    if supervisor := os.fork():
        # Else the worker would not hear that the supervisor has ended.
        os.close(0)
        os.close(1)
        os.waitpid(supervisor, 0)
        _clear_children()
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == watcher and _locked(lock):
        try:
            _answer(_run(job["command"], job["folder"], Path(job["run"]), job["grace"]))
        except OSError as error:
            _answer({"cannot_start": str(error)})


def _run(command: list[str], folder: str, run: Path, grace: float) -> dict[str, object]:
    (run / STOP).unlink(missing_ok=True)
    _cut_torn_line(run / "metrics.jsonl")
    with (run / "stdout.log").open("ab") as out, (run / "stderr.log").open("ab") as err:
        if not Path(folder).is_dir():
            return {"cannot_start": f"trainer.folder = {folder!r}: is no folder"}
        try:
            child = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            return {"cannot_start": f"trainer.command: {command[0]}: {error.strerror}"}
    while child.poll() is None:
        if _asked_to_stop(LOOK_SECONDS):
            _end(child, run, grace)
    _clear(child.pid)
    return {"exit": child.returncode}


def _end(child: "subprocess.Popen[bytes]", run: Path, grace: float) -> None:
    with suppress(OSError):
        (run / STOP).touch()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _clear(group: int) -> None:
    """Ends what a command that has ended left: its group, and what it put elsewhere."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    _clear_children()


def _clear_children() -> None:
    """Ends all processes whose parents have gone: they are children of this one."""
    while others := _children():
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    """Processes whose parent this is; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything.
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(entry.name))
    return found


def _locked(lock: int) -> bool:
    """Waits for the folder's lock; False if the worker gives up first."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if _asked_to_stop(0.2):
                return False


def _asked_to_stop(seconds: float) -> bool:
    """Whether the worker asks for an end, or has ended itself; waits so long for it."""
    if _told_to_stop:
        return True
    try:
        return bool(select.select([0], [], [], seconds)[0])
    except InterruptedError:
        return _told_to_stop


def _stop(number: int, frame: FrameType | None) -> None:
    global _told_to_stop
    _told_to_stop = True


def _cut_torn_line(metrics: Path) -> None:
    """Removes half a line, which an attempt before left."""
    with suppress(FileNotFoundError), metrics.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _answer(told: dict[str, object]) -> None:
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(told).encode() + b"\n")


def _die_with_parent() -> None:
    """In the command, before it starts: nothing outlives this process, even if it is killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        LIBRARY.prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
