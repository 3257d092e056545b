"""What all experiments on proxies have in common: shape, data, training, execution."""

from collections.abc import Iterable
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import NAME_PATTERN, Spec
from proxytune.config.data import DataSpec
from proxytune.config.execution import ExecutionSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.trainer import TrainerSpec
from proxytune.config.training import TrainingSpec

BYTES_VOCABULARY = 256
SCHEMA_VERSION = 1
"""Version of files and stored studies. It rises with any change that an older program would
misread."""


class ExperimentSpec(Spec):
    """A proxy with its base shape, data and training."""

    schema_version: Literal[1] = 1
    """Version of this file format."""
    name: str = Field(pattern=NAME_PATTERN)
    """Name of the experiment, used in every store and folder. Default: the file's name."""
    proxy: Shape
    """The small shape to train."""
    base: Shape = Field(
        default_factory=lambda seen: seen["proxy"].at(n_kv_heads=seen["proxy"].n_heads)
    )
    """The shape at which every multiplier is 1. Default: the proxy's, at repeat factor 1."""
    data: DataSpec = Field(DataSpec(), validate_default=True)
    """The corpus to train on."""
    training: TrainingSpec = TrainingSpec()
    """Length, batch and schedule of each training run."""
    hyperparameters: BaseHyperparameters = Field(
        default_factory=lambda seen: BaseHyperparameters.defaults_at(seen["base"]),
        validate_default=True,
    )
    """Values of the base hyperparameters that are not searched."""
    trainer: TrainerSpec | None = None
    """A program of your own that trains. null: the built-in trainer."""
    execution: ExecutionSpec = ExecutionSpec()
    """Where packs train. It can be changed later, in the same file."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of initial weights, batch order and sampler."""

    @field_validator("data")
    @classmethod
    def _vocabulary_holds_bytes(cls, data: DataSpec, info: ValidationInfo) -> DataSpec:
        proxy = info.data.get("proxy")
        if data.is_bytes and proxy is not None and proxy.vocab_size < BYTES_VOCABULARY:
            raise PydanticCustomError(
                "vocab", "the bytes tokenizer needs proxy.vocab_size of at least 256"
            )
        return data

    @field_validator("base")
    @classmethod
    def _same_style(cls, base: Shape, info: ValidationInfo) -> Shape:
        proxy = info.data.get("proxy")
        if proxy is not None:
            require_same_style(proxy, base)
        return base

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _defaults_of_base(cls, given: Any, info: ValidationInfo) -> Any:
        base = info.data.get("base")
        if base is not None and isinstance(given, dict):
            return BaseHyperparameters.defaults_at(base) | given
        return given

    @property
    def largest_pack(self) -> int | None:
        """Most members of a pack; a trainer of the user's own takes one. None: no limit."""
        return None if self.trainer is None else 1

    def of_vocabulary(self, size: int) -> Self:
        """The same with a vocabulary of that size, in the proxy, and in a base that gives none."""
        said = "base" in self.model_fields_set and "vocab_size" in self.base.model_fields_set
        base = self.base if said else self.base.at(vocab_size=size)
        return self.model_copy(update={"proxy": self.proxy.at(vocab_size=size), "base": base})


ExperimentT = TypeVar("ExperimentT", bound=ExperimentSpec)

STYLE = ("mlp", "qk_norm", "tied")
"""Fields in which two shapes must agree for rules to scale between them."""


def in_style_of(target: Shape, base: Shape) -> Shape:
    """The base, with the target's style where the base leaves it out."""
    given = base.model_dump(exclude_unset=True)
    return Shape.model_validate({field: getattr(target, field) for field in STYLE} | given)


def require_same_style(one: Shape, other: Shape) -> None:
    """Refuses two shapes that differ in MLP, QK-norm or tying: no rule scales between them.

    Raises PydanticCustomError, since validators call it.
    """
    for field in STYLE:
        ours, theirs = getattr(one, field), getattr(other, field)
        if ours != theirs:
            raise PydanticCustomError(
                "style",
                "{field} is {theirs} where it must be {ours}: no rule scales between the two, so "
                "both need the same {field}",
                {"field": field, "theirs": str(theirs).lower(), "ours": str(ours).lower()},
            )


def require_allowed(
    at: str, name: str, values: Iterable[float], fixed: BaseHyperparameters
) -> None:
    """Refuses values that the hyperparameter `name` cannot have; `at` is their field.

    Raises PydanticCustomError, since validators call it.
    """
    require_known(at, name)
    for value in values:
        try:
            BaseHyperparameters.model_validate(fixed.model_dump() | {name: value})
        except ValidationError as error:
            raise PydanticCustomError(
                "space",
                "holds {value}; the hyperparameter {reason}",
                {
                    "at": at,
                    "value": value,
                    "reason": error.errors()[0]["msg"].removeprefix("Input "),
                },
            ) from None


def require_known(at: str, name: str) -> None:
    """Refuses a name that is not a base hyperparameter; `at` is its field."""
    if name not in BaseHyperparameters.model_fields:
        raise PydanticCustomError("unknown_hyperparameter", "", {"at": at, "name": name})
