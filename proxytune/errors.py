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


_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^/\s]*@")
_IN_QUERY = re.compile(r"([?&][^=&\s]*(?:password|passwd|secret|token)[^=&\s]*)=[^&\s'\")]*", re.I)


def masked(text: str) -> str:
    """A URI, or a text with URIs in it, without passwords."""
    return _IN_QUERY.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
