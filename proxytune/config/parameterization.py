"""Which scaling rules apply: a named parameterization and its options."""

from typing import Any, Literal

from pydantic import GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from proxytune.config.base import Spec

ParameterizationName = Literal["sp", "mup", "completep", "gqa-mup"]
KvRuleName = Literal["paper", "spectral", "none"]

_ALLOWED = {
    "wd_width_exponent": (1.0, 0.5, 0.0),
    "embedding_lr_width_exponent": (0.0, -0.5),
    "depth_alpha": (1.0, 0.5),
}


class Parameterization(Spec):
    """The scaling rules, by name, with the options on which the literature disagrees.

    A label is enough, in YAML and on the command line: gqa-mup, or gqa-mup:kv_rule=none.
    """

    name: ParameterizationName = "gqa-mup"
    """What scales: sp nothing; mup width; completep width and depth; gqa-mup width, depth and the
    repeat factor."""
    kv_rule: KvRuleName = "paper"
    """How K/V init and learning rate depend on the repeat factor (gqa-mup only)."""
    wd_width_exponent: float = 1.0
    """Hidden weight decay grows as m_in to this power: 1 (CompleteP), 0.5 (arXiv 2510.15262) or
    0."""
    embedding_lr_width_exponent: float = 0.0
    """Embedding learning rate grows as m_d to this power: 0, or -0.5 (u-μP, arXiv 2506.15025)."""
    depth_alpha: float = 1.0
    """Residual branches shrink as m_L to minus this power: 1 (CompleteP) or 0.5."""
    embedding_weight_decay: bool = False
    """Whether the embedding decays, with λ."""

    @model_validator(mode="before")
    @classmethod
    def _from_label(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, *options = value.split(":")
        return {"name": name} | dict(option.partition("=")[::2] for option in options)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A label may be written in place of the fields."""
        fields = handler(core_schema)
        label = {"type": "string", "description": "A label: NAME, or NAME:OPTION=VALUE."}
        return {"anyOf": [fields, label]} if handler.mode == "validation" else fields

    @property
    def label(self) -> str:
        """The name with the options that are not default, as in gqa-mup:kv_rule=none."""
        own = self.model_dump(exclude={"name"}, exclude_defaults=True)
        return ":".join([self.name, *(f"{option}={value}" for option, value in own.items())])

    @field_validator(*_ALLOWED)
    @classmethod
    def _one_of(cls, value: float, info: Any) -> float:
        allowed = _ALLOWED[info.field_name]
        if value not in allowed:
            listed = ", ".join(f"{option:g}" for option in allowed)
            raise PydanticCustomError("one_of", "must be one of {listed}", {"listed": listed})
        return value
