"""Signals while Ray runs: the first one ends a run in good order, the second one at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def orderly(stop: Callable[[], object]) -> Iterator[None]:
    """Within it, a signal that would raise KeyboardInterrupt calls `stop`, the first time."""
    with kept_handlers():
        before = {int(number): signal.getsignal(number) for number in STOPPING}

        def stop_once(number: int, frame: FrameType | None) -> None:
            handler = before[number]
            signal.signal(number, handler)
            assert callable(handler)
            try:
                handler(number, frame)
            except KeyboardInterrupt:
                stop()

        if current_thread() is main_thread():
            for number, handler in before.items():
                if callable(handler):
                    signal.signal(number, stop_once)
        yield


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Restores at its end what signals call now: Ray puts handlers of its own in their places."""
    before = {int(number): signal.getsignal(number) for number in STOPPING}
    try:
        yield
    finally:
        if current_thread() is main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
