"""What is read from another program's model file, and how its fields become a shape."""

import re
from collections.abc import Mapping

from proxytune.config.base import Spec
from proxytune.config.load import validate
from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled
from proxytune.errors import InputError


class Architecture(Spec):
    """A decoder as proxytune sees it."""

    shape: Shape
    """Its shape."""
    not_modelled: tuple[NotModelled, ...] = ()
    """What it has beyond its shape."""


def shape_of(names: Mapping[str, str], values: Mapping[str, object], where: object) -> Shape:
    """A shape from its `values`. Raises InputError that calls its fields by the file's `names`."""
    try:
        return validate(Shape, dict(values), where)
    except InputError as error:
        words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        told = re.sub(rf"\b({words})\b", lambda word: names[word[0]], str(error))
        raise InputError(told) from None


def refuse(where: object, reasons: list[str]) -> None:
    """Raises InputError if there are `reasons` why no shape describes the model."""
    if reasons:
        raise InputError(
            f"{where}: {', and '.join(reasons)}; so it cannot be a target: the rules are for "
            "dense models with grouped-query attention"
        )
