"""Standard streams that take whatever is printed, wherever they lead and whatever they encode."""

import io
import os
import sys


def make_printable() -> None:
    """Has characters that a stream cannot encode replaced, and a closed stderr lead nowhere."""
    if sys.stderr is None:
        # The lowest free number: that of stderr, which no other file may get.
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not encodes_all(stream):
            stream.reconfigure(errors="replace")


def encodes_all(stream: object) -> bool:
    """Whether a stream's encoding has every character."""
    return str(getattr(stream, "encoding", "utf-8")).lower().replace("-", "").startswith("utf")
