"""Ctrl-C, SIGTERM and SIGHUP: acknowledged at once, then raised as KeyboardInterrupt."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import NoReturn

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_heard: set[int] = set()
"""The signals that came."""

STOPPED = "stopped; nothing is left half-written; to go on, give the same command again"
"""What is said of a command that has no better words for it."""


@contextmanager
def heeded() -> Iterator[None]:
    """Within it, signals to stop are acknowledged; one that is ignored, as by nohup, stays so."""
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _acknowledge)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(code: object) -> NoReturn:
    """Ends the process; without a word of Python's if it was stopped.

    A library that was stopped while it was imported may crash when Python tidies up.
    """
    if _heard:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 1)
    raise SystemExit(code)


def acknowledgement() -> str:
    """What is said of the signal that came; empty if none did."""
    if not _heard:
        return ""
    names = ("Ctrl-C" if n == signal.SIGINT else signal.Signals(n).name for n in sorted(_heard))
    return f"{', '.join(names)}: stopping …"


def _acknowledge(number: int, frame: FrameType | None) -> None:
    _heard.add(number)
    # Not through sys.stderr, which may be in the middle of a write.
    with suppress(OSError):
        os.write(2, f"\n{acknowledgement()}\n".encode())
    raise KeyboardInterrupt
