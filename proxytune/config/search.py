"""The search and selection blocks: which base hyperparameters vary, and how to choose them."""

from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec


class Range(Spec):
    """A continuous range, both ends included."""

    low: float
    """Lowest value."""
    high: float
    """Highest value."""
    log: bool = False
    """Whether to search on a log scale; low must then be above 0."""

    @field_validator("high")
    @classmethod
    def _not_below_low(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and high < low:
            raise PydanticCustomError("range", "must be at least low = {low}", {"low": low})
        return high

    @field_validator("log")
    @classmethod
    def _low_above_zero(cls, log: bool, info: ValidationInfo) -> bool:
        if log and info.data.get("low", 1) <= 0:
            raise PydanticCustomError("log", "a log range needs low above 0")
        return log

    def ends(self) -> tuple[float, ...]:
        """Lowest and highest value, to check them against what the hyperparameter allows."""
        return self.low, self.high


class Choices(Spec):
    """A list of values, without an order."""

    choices: tuple[float, ...] = Field(min_length=1)
    """The values to choose from."""

    def ends(self) -> tuple[float, ...]:
        """All values, to check them against what the hyperparameter allows."""
        return self.choices


def _kind(value: Any) -> str:
    given = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "<choices>" if "choices" in given else "<range>"


SpaceEntry = Annotated[
    Annotated[Range, Tag("<range>")] | Annotated[Choices, Tag("<choices>")], Discriminator(_kind)
]


class SearchSpec(Spec):
    """What a study searches, and how it chooses its trials."""

    space: dict[str, SpaceEntry] = Field(min_length=1)
    """For each base hyperparameter to search, a range or choices."""
    trials: PositiveInt = 32
    """Number of trials."""
    pack_size: PositiveInt | Literal["auto"] = "auto"
    """Trials that train together as one batched model. auto: the smallest size that trains about
    as fast per trial as any that fits in memory, measured when the study first runs."""
    sampler: Literal["tpe", "random", "qmc", "gp"] = "tpe"
    """The Optuna sampler that suggests trials. docs/search.md compares them."""
    pruner: Literal["none", "median", "successive-halving", "wilcoxon"] = "none"
    """The Optuna pruner that stops weak trials early. docs/search.md compares them."""

    @property
    def learns(self) -> bool:
        """Whether the sampler learns from trials before it."""
        return self.sampler not in ("random", "qmc")

    @field_validator("pack_size", mode="wrap")
    @classmethod
    def _number_or_auto(cls, given: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(given)
        except ValidationError:
            # Pydantic would list an error for each of the two types.
            raise PydanticCustomError(
                "pack_size", "should be an integer above 0, or auto"
            ) from None


class SelectionSpec(Spec):
    """How to tell the best trial from a lucky one: the top few train again on fresh seeds."""

    top: PositiveInt = 4
    """How many of the best trials train again."""
    seeds: int = Field(2, ge=0)
    """Fresh seeds for each of them; 0 takes the search's best trial without confirmation."""
