"""The data block: which corpus to train on, and how it becomes tokens."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec

BYTES = "bytes"
"""The tokenizer of one token per byte."""
SOURCE = "a source"
"""Marks the fields of `DataSpec` that name a corpus."""


def _one_path(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


Paths = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(_one_path, json_schema_input_type=str | tuple[str, ...]),
]
Source = Annotated[Paths | None, SOURCE]


class DataSpec(Spec):
    """The corpus to train on, and how it becomes tokens.

    Give one of `text`, `tokens`, `parquet` and `jsonl`: a path, a list of paths, or globs.
    Relative paths start at the folder of the YAML file. Without any of the four, the corpus is
    the source code of Python's own standard library.
    """

    text: Source = None
    """Text files."""
    tokens: Source = None
    """Files of token ids: nanoGPT, llm.c, Megatron, NumPy or datatrove. They are mapped where they
    lie."""
    parquet: Source = None
    """Parquet or Arrow files, or folders of Hugging Face's save_to_disk."""
    jsonl: Source = None
    """Files with one JSON object per line; .gz and .zst are unpacked."""
    column: str | None = None
    """For parquet and jsonl: the column of text, or of token ids. Default: `text`, `input_ids` or
    `tokens`, whichever is there first."""
    dtype: Literal["uint16", "uint32"] | None = None
    """For files of token ids without a header: the type of one id."""
    tokenizer: str = BYTES
    """How text becomes tokens: `bytes` (one token per byte, vocab_size 256), or the path of a
    tokenizer.json, or of a .model of SentencePiece."""
    end_of_text: NonNegativeInt | str | None = None
    """The token between documents, as its id or its text. Default: the tokenizer's own, if it has
    one."""
    sample: Literal["auto"] | PositiveInt = "auto"
    """How many tokens of the corpus to use, spread evenly over it. `auto`: four times as many as a
    training run reads, and at least 67,108,864."""
    validation: Paths | None = None
    """Files to validate on, in the same format. Default: a part of the corpus."""
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the corpus to validate on if there is no `validation`: whole documents, or evenly
    spaced stretches of files that do not say where documents begin."""

    @field_validator("sample", "end_of_text", mode="before")
    @classmethod
    def _in_one_sentence(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuses what neither of the two types takes; else there would be two messages."""
        least, words = (1, ("auto",)) if info.field_name == "sample" else (0, None)
        is_number = isinstance(given, int) and not isinstance(given, bool) and given >= least
        is_word = isinstance(given, str) and (words is None or given in words)
        if is_number or is_word or (given is None and words is None):
            return given
        word = "auto" if words else "the text of a token"
        raise PydanticCustomError(
            "either",
            "must be {word} or a whole number of at least {least}",
            {"word": word, "least": least},
        )

    @classmethod
    def sources(cls) -> tuple[str, ...]:
        """The fields that name a corpus."""
        return tuple(name for name, field in cls.model_fields.items() if SOURCE in field.metadata)

    @property
    def source(self) -> str | None:
        """The one of them that is given, if any."""
        return next((name for name in self.sources() if getattr(self, name) is not None), None)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        given = [name for name in self.sources() if getattr(self, name) is not None]
        if len(given) > 1:
            raise _refusal(given[1], f"cannot be given along with {given[0]}; give one of them")
        takers = {
            "column": ("parquet", "jsonl"),
            "dtype": ("tokens",),
            "validation": self.sources(),
        }
        for field, sources in takers.items():
            if getattr(self, field) is not None and self.source not in sources:
                raise _refusal(field, f"needs one of {', '.join(sources)} beside it")
        return self

    @property
    def is_bytes(self) -> bool:
        """Whether it is known without a look at files that tokens are bytes."""
        return self.source in (None, "text") and self.tokenizer == BYTES

    def below(self, folder: Path) -> Self:
        """The same with relative paths starting at a folder."""

        def absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(str(folder / Path(path).expanduser()) for path in paths)

        named = [*self.sources(), "validation"]
        changed: dict[str, Any] = {
            name: absolute(paths) for name in named if (paths := getattr(self, name)) is not None
        }
        if self.tokenizer != BYTES:
            (changed["tokenizer"],) = absolute((self.tokenizer,))
        return self.model_copy(update=changed)


def _refusal(field: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("data", "{reason}", {"at": field, "reason": allowed})
