"""The data part of a study: which corpus, and how it becomes tokens."""

from typing import Any, Literal

from pydantic import Field, field_validator

from proxytune.config.base import Spec


class DataSpec(Spec):
    """The corpus. Without `text`, it is the source code of Python's own standard library."""

    text: tuple[str, ...] | None = Field(None, min_length=1)
    """Text files: one path, a list, or globs; relative paths start at the study's file."""
    tokenizer: Literal["bytes"] = "bytes"
    """How text becomes tokens: one token a byte (vocab_size 256)."""
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the corpus, in whole documents, that is kept for validation."""

    @field_validator("text", mode="before")
    @classmethod
    def _one_path(cls, text: Any) -> Any:
        return (text,) if isinstance(text, str) else text
