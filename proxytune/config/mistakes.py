"""Mistakes in what users write, in words: field, value, what is allowed, and the line."""

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.written import Lines, line_of

Path = tuple[str, ...]
"""The keys and places in lists that lead to a field."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one field."""

    field: Path
    """Empty for the whole document."""
    reason: str
    """Behind the field's name, as in ` = 3: must be even`."""

    def told(self, lines: Lines) -> str:
        """In one line: the field, what is wrong, and where it is written, if that is known."""
        line = line_of(lines, self.field)
        place = "" if line is None else f" (line {line})"
        return ".".join(self.field) + self.reason + place


def mistakes(model: type[BaseModel], error: ValidationError) -> list[Mistake]:
    """What pydantic refused, without what only follows from something else."""
    errors = error.errors()
    return [_mistake(model, one) for one in errors if not _follows(one, errors)]


def misread(document: object, read: object) -> list[Mistake]:
    """Where `document` says true or false and the model that was read from it has a number."""
    return [
        Mistake(field, f" = {value!r}: is not a number")
        for field, value in _misread(document, read, ())
    ]


def _misread(document: object, read: object, at: Path) -> Iterator[tuple[Path, bool]]:
    if isinstance(document, bool) and isinstance(read, (int, float)):
        if not isinstance(read, bool):
            yield at, document
    elif isinstance(document, dict):
        for key, value in document.items():
            inner = read.get(key) if isinstance(read, dict) else getattr(read, str(key), None)
            yield from _misread(value, inner, (*at, str(key)))
    elif isinstance(document, list) and isinstance(read, tuple) and len(document) == len(read):
        for place, (value, inner) in enumerate(zip(document, read, strict=True)):
            yield from _misread(value, inner, (*at, str(place)))


def _follows(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether an error only follows from another one in the list."""
    if error["type"] == "too_short":
        # Pydantic counts a list without its bad items.
        depth = len(error["loc"])
        return any(e["loc"][:depth] == error["loc"] for e in errors if len(e["loc"]) > depth)
    return error["type"] == "default_factory_not_called"


def _mistake(model: type[BaseModel], error: ErrorDetails) -> Mistake:
    # Tags of unions, such as <range>, are not fields in the file.
    path = [str(part) for part in error["loc"] if not str(part).startswith("<")]
    # A validator of a whole block says in `at` which part holds the mistake.
    path += [part for part in error.get("ctx", {}).get("at", "").split(".") if part]
    return Mistake(tuple(path), _reason(model, path, error))


def _reason(model: type[BaseModel], path: list[str], error: ErrorDetails) -> str:
    given = error["input"]
    if error["type"] == "extra_forbidden":
        return f": unknown key{_nearest(path[-1], _fields_at(model, path[:-1]))}"
    if error["type"] == "unknown_hyperparameter":
        name = error["ctx"]["name"]
        known = _nearest(name, list(BaseHyperparameters.model_fields))
        return f": unknown hyperparameter {name!r}{known}"
    if error["type"] == "missing":
        return ": is missing, and has no default"
    shown = "" if isinstance(given, (dict, BaseModel)) else f" = {given!r}"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "string_type" and isinstance(given, (bool, int, float)):
        message += f"; quote it: '{str(given).lower()}'"
    return f"{shown}: {message}" if path else message


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the model that `path` leads to from `model`."""
    for part in path:
        field = model.model_fields.get(part)
        nested = _model_in(field.annotation) if field else None
        if nested is None:
            return _space_entry_fields() if "space" in path else []
        model = nested
    return list(model.model_fields)


def _space_entry_fields() -> list[str]:
    return ["low", "high", "log", "choices"]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model class in an annotation such as `Shape` or `Shape | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None
