"""URIs as they may be shown."""

import re

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^/\s]*@")


def masked(text: str) -> str:
    """A URI, or a text with URIs in it, without their users' passwords."""
    return _PASSWORD.sub(r"\1:***@", text)
