"""evidence.yaml: one base hyperparameter, tried on a grid at several shapes along an axis."""

import math

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.axis import AxisSpec
from proxytune.config.base import Spec
from proxytune.config.experiment import require_allowed, require_known


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


class EvidenceSpec(AxisSpec):
    """Does the best value of a base hyperparameter stay the same along one axis?

    The first of `values` is the shape to tune on; the others are the shapes to carry it to.
    """

    hyperparameter: str = "learning_rate"
    """The base hyperparameter to vary."""
    grid: Grid
    """Its values. All values of one shape and seed train as one pack."""
    seeds: PositiveInt = 5
    """Seeds of initial weights and batches; intervals are over them. More may be added later."""

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
