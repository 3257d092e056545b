"""evidence.yaml: a base hyperparameter tried on a grid at several shapes along an axis."""

import math

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.errors import InputError
from proxytune.spec.axis import AxisName, WidthGrows, along
from proxytune.spec.base import Spec
from proxytune.spec.experiment import ExperimentSpec, require_allowed
from proxytune.spec.parameterization import Parameterization
from proxytune.spec.shape import Shape


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


class EvidenceSpec(ExperimentSpec):
    """Does the optimal base hyperparameter stay put, along one axis, under each rule set?"""

    axis: AxisName
    """width, depth or repeat."""
    values: tuple[PositiveInt, ...] = Field(min_length=2)
    """width, depth: multiples of the proxy's; repeat: repeat factors. The first is tuned on."""
    width_grows: WidthGrows = "head_dim"
    """How a wider shape gets its heads: larger ones, or more of them."""
    parameterizations: tuple[Parameterization, ...] = Field(
        (Parameterization(name="sp"), Parameterization(name="gqa-mup")), min_length=1
    )
    """What is compared, on the same initial draws and batches."""
    hyperparameter: str = "learning_rate"
    """The base hyperparameter that is tried."""
    grid: Grid
    """Its values; those of one shape and seed train as one pack."""
    seeds: PositiveInt = 3
    """Seeds of initial weights and batches; intervals are over them."""

    @field_validator("values")
    @classmethod
    def _shapes_exist(cls, values: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise PydanticCustomError("order", "must ascend, each value once")
        axis, proxy = info.data.get("axis"), info.data.get("proxy")
        if axis is not None and proxy is not None:
            try:
                for value in values:
                    along(axis, proxy, value)
            except InputError as error:
                raise PydanticCustomError("axis", "{reason}", {"reason": str(error)}) from None
        return values

    @field_validator("parameterizations")
    @classmethod
    def _each_once(cls, given: tuple[Parameterization, ...]) -> tuple[Parameterization, ...]:
        if len({p.label for p in given}) < len(given):
            raise PydanticCustomError("once", "must be different from each other")
        return given

    @field_validator("grid")
    @classmethod
    def _grid_is_allowed(cls, grid: Grid, info: ValidationInfo) -> Grid:
        name, fixed = info.data.get("hyperparameter"), info.data.get("hyperparameters")
        if name is not None and fixed is not None:
            require_allowed("", name, (grid.low, grid.high), fixed)
        return grid

    def shapes(self) -> tuple[Shape, ...]:
        """The shapes along the axis, in the order of `values`."""
        return tuple(along(self.axis, self.proxy, v, self.width_grows) for v in self.values)
