"""The ways in which proxytune refuses to go on, and the exit codes that go with them."""


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
    """A run ended in the middle, and can be taken up where it was."""


class StorageLost(Interrupted):
    """The storage failed; what it was asked to do then may have been done or not."""


class PackTooLarge(RunError):
    """A pack does not fit into the memory of where it trains; half of it may."""
