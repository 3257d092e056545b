"""The errors that users see, with their exit codes, and the masking of passwords in them."""

import re


class InputError(ValueError):
    """What the user gave cannot be used: exit code 2.

    The message says what was given, what is allowed and which field to change.
    """

    @classmethod
    def of_field(cls, field: str, value: object, allowed: str) -> "InputError":
        """One bad field, by its dotted name."""
        return cls(f"{field} = {value!r}: {allowed}")


class RunError(RuntimeError):
    """Something failed while running: exit code 1."""


class Interrupted(RunError):
    """A run ended early, and can be resumed."""


class StorageLost(Interrupted):
    """The storage failed; a write in flight may or may not have committed."""


class PackTooLarge(RunError):
    """A pack does not fit into memory; half of it may."""


class PackLost(RunError):
    """What trained a pack is gone, and the pack may be tried again: it resumes."""


_URL = re.compile(r"[\w+.-]+://\S*")
_IN_QUERY = re.compile(
    r"([?&][^=&]*(?:pass|pwd|secret|token|key|auth|credential|odbc_connect)[^=&]*)=[^&]*", re.I
)


def masked(text: str, *urls: str) -> str:
    """A text without the passwords of these URLs, and of others in it, which end at a space."""
    for url in urls:
        text = text.replace(url, masked_url(url))
    return _URL.sub(lambda found: masked_url(found[0]), text)


def masked_url(url: str) -> str:
    """A URL without passwords, read as those read it who connect: SQLAlchemy, and urllib for HTTP.

    To SQLAlchemy everything from the user's colon to the next @ is a password, also slashes and
    spaces. Where there is another @, the user meant it to be part of the password.
    """
    scheme, mark, rest = url.partition("://")
    if scheme.lower() in ("http", "https"):
        rest = _mask_http(rest)
    elif mark:
        rest = _mask_password(rest)
    return scheme + mark + _IN_QUERY.sub(r"\1=***", rest)


def _mask_http(rest: str) -> str:
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    told, at, host = authority.rpartition("@")
    if not at:
        # A password with a slash in it looks like a port that is no number.
        return rest if re.fullmatch(r"[^:]*(:\d*)?|\[.*", authority) else _mask_password(rest)
    # A lone word is an access token.
    shown = f"{told.partition(':')[0]}:***" if ":" in told else "***"
    return f"{shown}@{host}{rest[len(authority) :]}"


def _mask_password(rest: str) -> str:
    user, _, tail = rest.partition(":")
    if "/" in user or "@" not in tail:
        return rest
    query = tail.find("?", tail.index("@"))
    return f"{user}:***{tail[tail.rindex('@', 0, query if query >= 0 else None) :]}"
