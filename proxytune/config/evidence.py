"""evidence.yaml: one base hyperparameter, tried on a grid at several shapes along an axis."""

import math
from typing import NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.axis import AxisSpec, coordinate
from proxytune.config.base import Spec
from proxytune.config.experiment import require_allowed, require_known
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec


class Grid(Spec):
    """Values of a hyperparameter, evenly spaced on a log scale, both ends included."""

    low: PositiveFloat
    """Lowest value."""
    high: PositiveFloat
    """Highest value, above low."""
    points: int = Field(9, ge=3)
    """Number of values."""

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and high <= low:
            raise PydanticCustomError("range", "must be above low = {low}", {"low": low})
        return high

    def log2_values(self) -> tuple[float, ...]:
        """log2 of the values, ascending."""
        low, high = math.log2(self.low), math.log2(self.high)
        step = (high - low) / (self.points - 1)
        return tuple(low + step * i for i in range(self.points))


class Place(NamedTuple):
    """One place on an axis."""

    coordinate: int
    """d_model, n_layers, repeat factor, tokens of the run, or sequences per step, by the axis."""
    shape: Shape
    """What is trained."""
    training: TrainingSpec
    """How."""


class EvidenceSpec(AxisSpec):
    """Does the best value of a base hyperparameter stay the same along one axis?

    The first of `values` is the proxy to tune on; the others are what to carry it to. Along
    tokens, training lasts longer; along batch_size, more of the same tokens are in each step.
    """

    hyperparameter: str = "learning_rate"
    """The base hyperparameter to vary."""
    grid: Grid
    """Its values. All values of one shape and seed train as one pack."""
    seeds: PositiveInt = 5
    """Seeds of initial weights and batches; intervals are over them. More may be added later."""
    tokens_per_parameter: PositiveFloat | None = None
    """Tokens that each shape trains on, per parameter, tables included; training.steps is then not
    used. Default: every shape trains for training.steps."""

    def places(self) -> tuple[Place, ...]:
        """Where it trains along the axis, in the order of `values`."""
        pairs = zip(self.values, self.shapes(), strict=True)
        return tuple(self._place(value, shape) for value, shape in pairs)

    def _place(self, value: int, shape: Shape) -> Place:
        training = self.training
        if self.axis == "tokens":
            longer = training.model_copy(update={"steps": training.steps * value})
            return Place(longer.tokens(shape.seq_len), shape, longer)
        if self.axis == "batch_size":
            # The same tokens in fewer steps.
            changes = {"batch_size": training.batch_size * value, "steps": training.steps // value}
            return Place(changes["batch_size"], shape, training.model_copy(update=changes))
        if self.tokens_per_parameter is not None:
            training = _trained_on(self.tokens_per_parameter, training, shape)
        return Place(coordinate(self.axis, shape), shape, training)

    @field_validator("values")
    @classmethod
    def _steps_are_whole(cls, values: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        training = info.data.get("training")
        if info.data.get("axis") != "batch_size" or training is None:
            return values
        fewest = training.steps // max(values)
        if any(training.steps % value for value in values) or fewest < training.evaluations:
            raise PydanticCustomError(
                "steps",
                "must divide training.steps = {steps}, and leave training.evaluations = "
                "{evaluations} steps or more: larger batches train for fewer steps, on the same "
                "tokens",
                {"steps": training.steps, "evaluations": training.evaluations},
            )
        return values

    @field_validator("tokens_per_parameter")
    @classmethod
    def _is_long_enough(cls, ratio: float | None, info: ValidationInfo) -> float | None:
        shape, training = info.data.get("proxy"), info.data.get("training")
        if ratio is None or shape is None or training is None:
            return ratio
        if info.data.get("axis") in ("tokens", "batch_size"):
            raise PydanticCustomError("axis", "goes with axes of the shape; leave it out here")
        steps = _trained_on(ratio, training, shape).steps
        if steps < training.evaluations:
            raise PydanticCustomError(
                "steps",
                "gives the proxy {steps} steps, fewer than training.evaluations = {evaluations}",
                {"steps": steps, "evaluations": training.evaluations},
            )
        return ratio

    @field_validator("hyperparameter")
    @classmethod
    def _is_known(cls, name: str) -> str:
        require_known("", name)
        return name

    @field_validator("grid")
    @classmethod
    def _grid_is_allowed(cls, grid: Grid, info: ValidationInfo) -> Grid:
        name, fixed = info.data.get("hyperparameter"), info.data.get("hyperparameters")
        if name is not None and fixed is not None:
            require_allowed("", name, (grid.low, grid.high), fixed)
        return grid


def _trained_on(tokens_per_parameter: float, training: TrainingSpec, shape: Shape) -> TrainingSpec:
    tokens = tokens_per_parameter * shape.count_parameters()
    steps = max(1, round(tokens / (training.batch_size * shape.seq_len)))
    return training.model_copy(update={"steps": steps})
