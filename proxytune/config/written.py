"""YAML as its writers mean it, with the line of every field.

PyYAML reads YAML 1.1, in which `no` is false, 010 is 8, 1:30 is 90 and 1e1 is a word. Here words
are words and numbers are numbers, as in YAML 1.2; and a key that comes twice is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from proxytune.errors import InputError

Lines = dict[tuple[str, ...], int]
"""The line of each field, from 1, by the keys and places in lists that lead to it."""

BOOL, INT, FLOAT, NULL = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null"))


class Written(dict[str, Any]):
    """The mapping that a file holds."""

    def __init__(self, fields: dict[str, Any], lines: Lines) -> None:
        super().__init__(fields)
        self.lines = lines


class _Loader(yaml.SafeLoader):
    """Safe loading, with the plain words and numbers of YAML 1.2."""


# Its own rules; those of PyYAML's loader are not touched.
_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(BOOL, re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), None)
_Loader.add_implicit_resolver(NULL, re.compile(r"^(~|null|Null|NULL|)$"), None)
_Loader.add_implicit_resolver(INT, re.compile(r"^[-+]?[0-9][0-9_]*$|^0x[0-9a-fA-F]+$"), None)
_Loader.add_implicit_resolver(
    FLOAT,
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    None,
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), None)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    return int(text, 16 if text.startswith("0x") else 10)


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor(INT, _whole_number)
_Loader.add_constructor(FLOAT, _number)


def parse_yaml(text: str, path: Path) -> Written:
    """The mapping that a YAML file holds; safe loading only.

    Raises InputError for what is no YAML, no mapping, or has a key twice.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, (), set(), path)) if node is not None else {}
        document = None if node is None else loader.construct_document(node)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(document, dict):
        found = "nothing" if document is None else f"a {type(document).__name__}"
        raise InputError(f"{path}: holds {found}; a mapping of fields is needed")
    return Written(document, lines)


def line_of(lines: Lines, field: tuple[str, ...]) -> int | None:
    """The line of a field, or of the block that it is missing in."""
    while field and field not in lines:
        field = field[:-1]
    return lines.get(field)


def _lines(
    node: yaml.Node, at: tuple[str, ...], seen: set[int], path: Path
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Every field below a node with its line."""
    if id(node) in seen:
        return  # an anchor, told where it is written out
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first and name != "<<":
                where = f"lines {first[name]} and {line}"
                raise InputError(f"{path}: {'.'.join((*at, name))}: is given twice, in {where}")
            first[name] = line
            yield (*at, name), line
            yield from _lines(value, (*at, name), seen, path)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield (*at, str(place)), item.start_mark.line + 1
            yield from _lines(item, (*at, str(place)), seen, path)
