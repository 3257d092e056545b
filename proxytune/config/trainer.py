"""The trainer block: a program of the user's own that trains in place of the built-in trainer."""

from collections.abc import Mapping

from pydantic import Field, PositiveFloat, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec

PLACEHOLDERS = ("settings", "metrics", "run", "gpus", "seed", "python")
"""What a command may name in braces."""


class TrainerSpec(Spec):
    """A program that trains one trial: settings in as a file, losses out as lines."""

    command: tuple[str, ...] = Field(min_length=1)
    """The program and its arguments, as a list; no shell reads them. {settings}, {metrics}, {run},
    {gpus}, {seed} and {python} are filled in; write {{ and }} for braces."""
    folder: str = "."
    """The folder that it runs in. A relative path starts at the folder of the YAML file."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables to add. They are stored with the study, so keep secrets elsewhere.
    Default: none."""
    stall_seconds: PositiveFloat = 1800.0
    """After so long without a new line of metrics the program is stopped, and tried again."""

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        for argument in command:
            try:
                argument.format_map(dict.fromkeys(PLACEHOLDERS, ""))
            except (KeyError, ValueError, IndexError, AttributeError, TypeError):
                known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise PydanticCustomError(
                    "placeholder",
                    "{argument} cannot be filled in: known are {known}; double other braces",
                    {"argument": repr(argument), "known": known},
                ) from None
        return command

    def arguments(self, values: Mapping[str, object]) -> list[str]:
        """The command with every placeholder filled in."""
        return [argument.format_map(values) for argument in self.command]
