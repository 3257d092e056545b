"""study.yaml and target.yaml as typed values."""

from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from proxytune.spec.base import NAME_PATTERN, Spec
from proxytune.spec.hyperparameters import BaseHyperparameters
from proxytune.spec.parameterization import Parameterization
from proxytune.spec.search import Axis, ExecutionSpec, SearchSpec, SelectionSpec
from proxytune.spec.shape import Shape
from proxytune.spec.training import CheckSpec, DataSpec, TrainingSpec

BYTES_VOCABULARY = 256


class StudySpec(Spec):
    """A study: proxies of one shape, searched for the best base hyperparameters."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    name: str = Field(pattern=NAME_PATTERN)
    """Names the study everywhere; default: the file's name."""
    proxy: Shape
    """The small shape that is trained."""
    base: Shape = Field(
        default_factory=lambda seen: seen["proxy"].at(n_kv_heads=seen["proxy"].n_heads)
    )
    """The shape at which every multiplier is 1. Default: the proxy's, at repeat factor 1."""
    parameterization: Parameterization = Parameterization()
    """The scaling rules."""
    data: DataSpec = DataSpec()
    """The corpus."""
    training: TrainingSpec = TrainingSpec()
    """Length, batch and schedule of each trial."""
    hyperparameters: BaseHyperparameters = Field(
        default_factory=lambda seen: BaseHyperparameters.defaults_at(seen["base"].d_model),
        validate_default=True,
    )
    """Base hyperparameters that are not searched."""
    search: SearchSpec
    """What is searched, and how."""
    selection: SelectionSpec = SelectionSpec()
    """How the best trial is confirmed."""
    execution: ExecutionSpec = ExecutionSpec()
    """Where packs train."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of initial weights, batch order and sampler."""

    @field_validator("proxy")
    @classmethod
    def _vocabulary_holds_bytes(cls, proxy: Shape) -> Shape:
        if proxy.vocab_size < BYTES_VOCABULARY:
            raise PydanticCustomError(
                "vocab", "the bytes tokenizer needs vocab_size of at least 256"
            )
        return proxy

    @field_validator("base")
    @classmethod
    def _same_style(cls, base: Shape, info: ValidationInfo) -> Shape:
        proxy = info.data.get("proxy")
        if proxy is not None:
            require_same_style(proxy, base)
        return base

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _init_std_of_base(cls, given: Any, info: ValidationInfo) -> Any:
        base = info.data.get("base")
        if base is not None and isinstance(given, dict):
            return BaseHyperparameters.defaults_at(base.d_model) | given
        return given

    @field_validator("search")
    @classmethod
    def _space_is_allowed(cls, search: SearchSpec, info: ValidationInfo) -> SearchSpec:
        fixed = info.data.get("hyperparameters")
        if fixed is not None:
            for name, axis in search.space.items():
                _require_allowed(name, axis, fixed)
        return search

    def hyperparameters_of(self, params: dict[str, Any]) -> BaseHyperparameters:
        """The base hyperparameters of a trial: the fixed ones, with the searched ones in place."""
        return BaseHyperparameters.model_validate(self.hyperparameters.model_dump() | params)


class TargetSpec(Spec):
    """A target: the large shape that the base hyperparameters are projected onto."""

    name: str = Field(pattern=NAME_PATTERN)
    """Names the target; default: the file's name."""
    shape: Shape
    """The large shape."""
    check: CheckSpec = CheckSpec()
    """The check run and its criteria."""
    check_shape: Shape | None = None
    """A smaller stand-in for the check run, if the target itself is too large to train here."""

    @model_validator(mode="after")
    def _stand_in_alike(self) -> Self:
        if self.check_shape is not None:
            require_same_style(self.shape, self.check_shape)
        return self


def require_same_style(one: Shape, other: Shape) -> None:
    """Refuses two shapes between which no rule scales: another MLP, QK-norm or tying.

    Raises PydanticCustomError, since validators call it.
    """
    for field in ("mlp", "qk_norm", "tied"):
        ours, theirs = getattr(one, field), getattr(other, field)
        if ours != theirs:
            raise PydanticCustomError(
                "style",
                "{field} is {theirs} where it must be {ours}: no rule scales between the two",
                {"field": field, "theirs": str(theirs).lower(), "ours": str(ours).lower()},
            )


def _require_allowed(name: str, axis: Axis, fixed: BaseHyperparameters) -> None:
    if name not in BaseHyperparameters.model_fields:
        raise PydanticCustomError("unknown_hyperparameter", "", {"at": f"space.{name}"})
    for value in axis.ends():
        try:
            BaseHyperparameters.model_validate(fixed.model_dump() | {name: value})
        except ValidationError as error:
            raise PydanticCustomError(
                "space",
                "holds {value}; the hyperparameter {reason}",
                {
                    "at": f"space.{name}",
                    "value": value,
                    "reason": error.errors()[0]["msg"].removeprefix("Input "),
                },
            ) from None
