"""evidence.yaml: a base hyperparameter tried on a grid at several shapes along an axis."""

import math

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.axis import AxisSpec
from proxytune.config.base import Spec
from proxytune.config.experiment import require_allowed, require_known


class Grid(Spec):
    """Values of a hyperparameter, evenly spaced in their logarithm, both ends included."""

    low: PositiveFloat
    """Lowest value."""
    high: PositiveFloat
    """Highest value, above low."""
    points: int = Field(9, ge=3)
    """Values in all, at least 3."""

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
    """Does the optimal base hyperparameter stay put, along one axis, under each rule set?

    The first of `values` is the shape that is tuned on; the others are what it is tuned for.
    """

    hyperparameter: str = "learning_rate"
    """The base hyperparameter that is tried."""
    grid: Grid
    """Its values; those of one shape and seed train as one pack."""

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
