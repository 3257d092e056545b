"""Which scaling rules apply: a named parameterization and its options."""

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from proxytune.config.base import Spec, fields_or_label

ParameterizationName = Literal["sp", "mup", "completep", "gqa-mup"]
KvRuleName = Literal["paper", "spectral", "none"]
ShapeInitName = Literal["fan_in", "spectral"]

RULES_VERSION = 2
"""Of the rule table; a change of any setting of any shape is a new one."""

_ALLOWED = {
    "wd_width_exponent": (1.0, 0.5, 0.0),
    "depth_alpha": (1.0, 0.5),
}
_FOR_ALL = ("embedding_lr_width_exponent", "embedding_weight_decay", "shape_init", "rules_version")
_TAKES: dict[str, tuple[str, ...]] = {
    "sp": _FOR_ALL,
    "mup": ("wd_width_exponent", *_FOR_ALL),
    "completep": ("wd_width_exponent", "depth_alpha", *_FOR_ALL),
    "gqa-mup": ("kv_rule", "wd_width_exponent", "depth_alpha", *_FOR_ALL),
}
"""Parameterization -> the options that change anything under it."""


class Parameterization(Spec):
    """The scaling rules, by name, with the options on which the literature disagrees.

    A label is enough, in YAML and on the command line: gqa-mup, or gqa-mup:kv_rule=none. An option
    that the parameterization does not take is refused.
    """

    name: ParameterizationName = "gqa-mup"
    """What scales: sp nothing; mup width; completep width and depth; gqa-mup width, depth and the
    repeat factor."""
    kv_rule: KvRuleName = "paper"
    """How K/V init and learning rate depend on the repeat factor (gqa-mup only)."""
    wd_width_exponent: float = 1.0
    """Hidden weight decay grows as m_in to this power: 1 (CompleteP), 0.5 (arXiv 2510.15262) or
    0; not under sp."""
    embedding_lr_width_exponent: float = 0.0
    """Embedding learning rate grows as m_d to this power: 0, or -0.5 (u-μP, arXiv 2506.15025).
    Under sp 0 or 1; 1 gives most of what μP gains with AdamW (arXiv 2605.21486)."""
    depth_alpha: float = 1.0
    """Residual branches shrink as m_L to minus this power: 1 (CompleteP) or 0.5; completep and
    gqa-mup only."""
    embedding_weight_decay: bool = False
    """Whether the embedding decays, with λ. A tied table always does, since it is the output head
    too."""
    shape_init: ShapeInitName = "fan_in"
    """How the init std of hidden matrices depends on fan-out over fan-in: fan_in not at all;
    spectral as min(1, √(fan-out/fan-in)) over that of the base (arXiv 2310.17813)."""
    rules_version: int = Field(RULES_VERSION, ge=1, le=RULES_VERSION)
    """Version of the rule table. Studies made before there was a second keep the first."""

    @model_validator(mode="before")
    @classmethod
    def _from_label(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, *options = value.split(":")
        given = dict(option.partition("=")[::2] for option in options)
        # Written out here, even a default is a mistake.
        _require_taken(name, given)
        return {"name": name} | given

    @model_validator(mode="after")
    def _only_what_it_takes(self) -> Self:
        _require_taken(self.name, self.model_dump(exclude={"name"}, exclude_defaults=True))
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A label may be written in place of the fields."""
        return fields_or_label(core_schema, handler, "A label: NAME, or NAME:OPTION=VALUE.")

    @property
    def label(self) -> str:
        """The name with the options that are not default, as in gqa-mup:kv_rule=none."""
        own = self.model_dump(exclude={"name"}, exclude_defaults=True)
        return ":".join([self.name, *(f"{option}={value}" for option, value in own.items())])

    @field_validator(*_ALLOWED)
    @classmethod
    def _one_of(cls, value: float, info: ValidationInfo) -> float:
        return _require_one_of(value, _ALLOWED[str(info.field_name)])

    @field_validator("embedding_lr_width_exponent")
    @classmethod
    def _embedding_exponent(cls, value: float, info: ValidationInfo) -> float:
        return _require_one_of(value, (0.0, 1.0) if info.data.get("name") == "sp" else (0.0, -0.5))


def without_ignored(stored: dict[str, Any]) -> dict[str, Any]:
    """A parameterization as programs before version 2 of the rules stored it, as it was meant.

    They took every option under every name, and ignored those that the name has no use for.
    """
    name = stored.get("name", "gqa-mup")
    taken = {key: stored[key] for key in ("name", *_TAKES.get(name, ())) if key in stored}
    if name == "sp":
        taken.pop("embedding_lr_width_exponent", None)
    return taken | {"rules_version": 1}


def _require_taken(name: str, options: Iterable[str]) -> None:
    """Unknown names and options are left to be refused where they are known."""
    takes = _TAKES.get(name, tuple(Parameterization.model_fields))
    ignored = [o for o in options if o in Parameterization.model_fields and o not in takes]
    if ignored:
        raise PydanticCustomError(
            "not_taken",
            "{name} does not take {ignored}; it takes {takes}",
            {"name": name, "ignored": ", ".join(ignored), "takes": ", ".join(takes)},
        )


def _require_one_of(value: float, allowed: tuple[float, ...]) -> float:
    if value not in allowed:
        listed = ", ".join(f"{option:g}" for option in allowed)
        raise PydanticCustomError("one_of", "must be one of {listed}", {"listed": listed})
    return value
