"""URIs as they may be shown."""

import re

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^/\s]*@")
_IN_QUERY = re.compile(r"([?&][^=&\s]*(?:password|passwd|secret|token)[^=&\s]*)=[^&\s'\")]*", re.I)


def masked(text: str) -> str:
    """A URI, or a text with URIs in it, without passwords."""
    return _IN_QUERY.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
