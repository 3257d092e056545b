"""The search and selection blocks: which base hyperparameters vary, and how to choose them."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
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

    @property
    def text(self) -> str:
        """The range in words."""
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"

    def misfit(self, value: float) -> str | None:
        """Why the value is not in the range; None if it is."""
        if self.low <= value <= self.high:
            return None
        return f"{value:g} is outside the range, {self.low:g} to {self.high:g}"


class Choices(Spec):
    """A list of values, without an order."""

    choices: tuple[float, ...] = Field(min_length=1)
    """The values to choose from, each once."""

    @field_validator("choices")
    @classmethod
    def _each_once(cls, choices: tuple[float, ...]) -> tuple[float, ...]:
        twice = sorted({value for value in choices if choices.count(value) > 1})
        if twice:
            listed = ", ".join(f"{value:g}" for value in twice)
            raise PydanticCustomError("once", "has {listed} more than once", {"listed": listed})
        return choices

    def ends(self) -> tuple[float, ...]:
        """All values, to check them against what the hyperparameter allows."""
        return self.choices

    @property
    def text(self) -> str:
        """The choices in words."""
        return f"one of {', '.join(f'{value:g}' for value in self.choices)}"

    def misfit(self, value: float) -> str | None:
        """Why the value is not one of the choices; None if it is."""
        if value in self.choices:
            return None
        return f"{value:g} is not one of the choices, {', '.join(map(str, self.choices))}"


def _kind(value: Any) -> str:
    given = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "<choices>" if "choices" in given else "<range>"


SpaceEntry = Annotated[
    Annotated[Range, Tag("<range>")] | Annotated[Choices, Tag("<choices>")], Discriminator(_kind)
]


Point = Annotated[dict[str, float], Field(min_length=1)]
"""Values of searched hyperparameters, by name."""


def _as_list(given: Any) -> Any:
    """One point is a list of one."""
    return [given] if isinstance(given, Mapping) else given


class SearchSpec(Spec):
    """What a study searches, and how it chooses its trials."""

    space: dict[str, SpaceEntry] = Field(min_length=1)
    """For each base hyperparameter to search, a range or choices."""
    start: Annotated[
        tuple[Point, ...], BeforeValidator(_as_list, json_schema_input_type=Point | list[Point])
    ] = ()
    """The point to try first, such as your current recipe, or a list of points. What a point
    leaves out, the sampler suggests."""
    trials: PositiveInt = 32
    """Number of trials, those of `start` included."""
    pack_size: PositiveInt | Literal["auto"] = "auto"
    """Trials that train together as one batched model. auto: the smallest size that trains about
    as fast per trial as any that fits in memory, measured when the study first runs."""
    sampler: Literal["auto", "tpe", "random", "qmc", "gp"] = "auto"
    """The Optuna sampler that suggests trials. auto: gp, or tpe if trials end faster than gp
    suggests them; qmc for the first. docs/search.md compares them."""
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

    @model_validator(mode="after")
    def _start_is_in_the_space(self) -> Self:
        for index, point in enumerate(self.start):
            at = f"start.{index}" if len(self.start) > 1 else "start"
            for name, reason in self.misfits(point):
                raise PydanticCustomError(
                    "start", "{reason}", {"at": f"{at}.{name}", "reason": reason}
                )
        if len(self.start) > self.trials:
            raise PydanticCustomError(
                "start",
                "has {count} points, more than search.trials = {trials}; raise trials",
                {"at": "start", "count": len(self.start), "trials": self.trials},
            )
        return self

    def misfits(self, point: Point) -> Iterator[tuple[str, str]]:
        """The names in a point that do not fit the space, each with what is wrong and the fix."""
        for name, value in point.items():
            entry = self.space.get(name)
            if entry is None:
                yield name, f"is not searched; searched are {', '.join(self.space)}"
            elif (reason := entry.misfit(value)) is not None:
                yield name, f"{reason}; change it, or search.space.{name}"


class SelectionSpec(Spec):
    """How to tell the best point from a lucky one: candidates race on fresh seeds."""

    top: PositiveInt = 4
    """How many of the best trials take part. Two points between trials join them, if there are
    enough trials to propose any."""
    seeds: int = Field(2, ge=0)
    """Fresh seeds of each round; 0 takes the search's best trial without a race."""
    max_seeds: PositiveInt = 8
    """Fresh seeds in all rounds, at most, for those that are not clearly behind by then; at least
    one round is raced."""

    @property
    def most_seeds(self) -> int:
        """Fresh seeds that a race may take."""
        return max(self.seeds, self.max_seeds) if self.seeds else 0
