"""The data block: which corpus to train on, and how it becomes tokens."""

from typing import Any, Literal

from pydantic import Field, field_validator

from proxytune.config.base import Spec


class DataSpec(Spec):
    """The corpus to train on, and how it becomes tokens."""

    text: tuple[str, ...] | None = Field(None, min_length=1)
    """Text files: one path, a list of paths, or globs. Relative paths start at the folder of the
    YAML file. Default: the source code of Python's own standard library."""
    tokenizer: Literal["bytes"] = "bytes"
    """How text becomes tokens: one token per byte (vocab_size 256)."""
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the corpus, in whole documents, that is held out for validation."""

    @field_validator("text", mode="before", json_schema_input_type=str | tuple[str, ...] | None)
    @classmethod
    def _one_path(cls, text: Any) -> Any:
        return (text,) if isinstance(text, str) else text
