"""Writes docs/reference.md from the docstrings of the specs: python docs/reference.py"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from proxytune.config.base import NAME_PATTERN, Spec
from proxytune.config.data import DataSpec
from proxytune.config.evidence import EvidenceSpec, Grid
from proxytune.config.execution import ExecutionSpec
from proxytune.config.horizon import HorizonSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.search import Choices, Range, SearchSpec, SelectionSpec
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec, NotModelled, TargetSpec
from proxytune.config.trainer import TrainerSpec
from proxytune.config.training import TrainingSpec

PAGE = Path(__file__).with_name("reference.md")

INTRODUCTION = """# YAML reference

The fields of study.yaml, target.yaml and evidence.yaml, block by block. A field marked "required"
must be given; an unknown field, or one that is given twice, is refused. Words and numbers are
those of YAML 1.2: `true` and `false` alone are yes-or-no values, so `no` is a word; `1e3` is a
number. Complete files to start from are in [studies/](../studies/README.md).

*`docs/reference.py` writes this page from the docstrings in `proxytune/config/`.
Change those, then run it.*
"""


class Section(NamedTuple):
    """One part of the page: a file, or a block of one."""

    title: str
    model: type[Spec]
    example: str
    """A YAML document or block, as a user would write it."""


SECTIONS = (
    Section(
        "study.yaml",
        StudySpec,
        """
name: quickstart
proxy: {d_model: 32, n_layers: 2, n_heads: 4, n_kv_heads: 2}
search:
  space:
    learning_rate: {low: 0.002, high: 0.1, log: true}
""",
    ),
    Section(
        "target.yaml",
        TargetSpec,
        """
name: small
shape: {d_model: 128, n_layers: 4, n_heads: 16, n_kv_heads: 4}
""",
    ),
    Section(
        "evidence.yaml",
        EvidenceSpec,
        """
name: width
proxy: {d_model: 32, n_layers: 2, n_heads: 4}
axis: width
grid: {low: 0.002, high: 0.1}
""",
    ),
    Section(
        "shape",
        Shape,
        """
d_model: 32
n_layers: 2
n_heads: 4
n_kv_heads: 2        # repeat factor 2
""",
    ),
    Section("data", DataSpec, "text: [corpus/*.txt, more/notes.md]"),
    Section("training", TrainingSpec, "steps: 200\nbatch_size: 16\nschedule: wsd"),
    Section("hyperparameters", BaseHyperparameters, "beta2: 0.99\nwarmup_fraction: 0.05"),
    Section("parameterization", Parameterization, "name: gqa-mup\nwd_width_exponent: 0.5"),
    Section(
        "search",
        SearchSpec,
        """
trials: 64
pack_size: 16
space:
  learning_rate: {low: 0.002, high: 0.1, log: true}
  beta2: {choices: [0.9, 0.95, 0.99]}
""",
    ),
    Section("range", Range, "low: 0.002\nhigh: 0.1\nlog: true"),
    Section("choices", Choices, "choices: [0.9, 0.95, 0.99]"),
    Section("selection", SelectionSpec, "top: 4\nseeds: 3"),
    Section(
        "trainer",
        TrainerSpec,
        """
command: [torchrun, --standalone, --nproc-per-node, "{gpus}", train.py, "{settings}"]
folder: code
""",
    ),
    Section("execution", ExecutionSpec, "gpus_per_pack: 1\nmax_packs: 8"),
    Section("check", CheckSpec, "steps: 100"),
    Section("horizon", HorizonSpec, "{batch: sqrt, power: 0.32, decay: ema}"),
    Section("not_modelled", NotModelled, "what: learned attention sinks\nparameters: 768"),
    Section("grid", Grid, "low: 0.002\nhigh: 0.1\npoints: 9"),
)

_TITLES = {section.model.__name__: section.title for section in SECTIONS}
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def render() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *map(_section, SECTIONS)])


def _section(section: Section) -> str:
    schema = section.model.model_json_schema()
    # A parameterization may be written as a label, too; its docstring says so.
    schema = schema.get("anyOf", [schema])[0]
    rows = [_row(name, field, schema) for name, field in schema["properties"].items()]
    return "\n".join(
        [
            f"## {section.title}\n",
            f"{_flat(schema['description'])}\n",
            f"```yaml\n{section.example.strip()}\n```\n",
            "| field | type | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _row(name: str, field: dict[str, Any], schema: dict[str, Any]) -> str:
    meaning, _, described = _flat(field["description"]).partition(" Default: ")
    default = described.removesuffix(".") or _default(name, field, schema)
    return f"| `{name}` | {_type(field)} | {default} | {meaning} |"


def _default(name: str, field: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    if "$ref" in field:
        return "its defaults"
    value = field["default"]
    if isinstance(value, list):
        return ", ".join(f"`{item['name']}`" for item in value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _type(field: dict[str, Any]) -> str:
    """A JSON Schema in words: `integer > 0`."""
    if "$ref" in field:
        title = _TITLES[field["$ref"].rpartition("/")[2]]
        return f"[{title}](#{title.replace('.', '')})"
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(map(_type, options))
    if "const" in field or "enum" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("pattern") == NAME_PATTERN:
        return "name: up to 64 of a–z, 0–9, `.`, `_`, `-`"
    match field["type"]:
        case "array":
            return f"list of {_type(field['items'])}"
        case "object":
            return f"mapping to {_type(field['additionalProperties'])}"
        case "string":
            return "text"
        case kind:
            bounds = [text.format(field[key]) for key, text in _BOUNDS.items() if key in field]
            return " ".join([kind, ", ".join(bounds)]).strip()


def _flat(docstring: str) -> str:
    return re.sub(r"\s+", " ", docstring).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
