"""An axis: coordinate checks and evidence vary only that, of a proxy's shape or its training."""

from typing import Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.experiment import ExperimentSpec
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.errors import InputError

AxisName = Literal["width", "depth", "repeat"]
"""The axes of a shape."""
AnyAxis = Literal["width", "depth", "repeat", "tokens", "batch_size"]
"""Those of a shape, and of its training."""
WidthGrows = Literal["head_dim", "heads"]


def along(axis: AnyAxis, proxy: Shape, value: int, grows: WidthGrows = "head_dim") -> Shape:
    """The shape at one value of an axis.

    width: `value` times as wide, by larger or by more heads, at the same repeat factor; depth:
    `value` times as deep; repeat: with repeat factor `value`; tokens and batch_size: the proxy.
    Raises InputError for a repeat factor that does not divide n_heads.
    """
    if axis in ("tokens", "batch_size"):
        return proxy
    if axis == "depth":
        return proxy.at(n_layers=proxy.n_layers * value)
    if axis == "repeat":
        if proxy.n_heads % value:
            raise InputError.of_field(
                "values", value, f"a repeat factor must divide proxy.n_heads = {proxy.n_heads}"
            )
        return proxy.at(n_kv_heads=proxy.n_heads // value)
    wider = {"d_model": proxy.d_model * value, "d_ff": proxy.d_ff * value}
    if grows == "head_dim":
        return proxy.at(**wider, head_dim=proxy.head_dim * value)
    heads = {"n_heads": proxy.n_heads * value, "n_kv_heads": proxy.n_kv_heads * value}
    return proxy.at(**wider, **heads)


def coordinate(axis: AxisName, shape: Shape) -> int:
    """The position of a shape on an axis: its d_model, n_layers or repeat factor."""
    return {"width": shape.d_model, "depth": shape.n_layers, "repeat": shape.repeat}[axis]


class AxisSpec(ExperimentSpec):
    """An experiment along one axis, under one or several parameterizations."""

    axis: AnyAxis
    """The dimension that varies."""
    values: tuple[PositiveInt, ...] = Field(
        default_factory=lambda seen: _default_values(seen["axis"], seen["proxy"]), min_length=2
    )
    """For repeat, repeat factors; for the other axes, multiples of what the proxy has. In
    ascending order. Default: powers of two, up to 4 (width, batch_size), 8 (depth) or 16 (repeat;
    those that divide n_heads); 1, 4 and 16 (tokens)."""
    width_grows: WidthGrows = "head_dim"
    """How a wider shape gets its heads: head_dim makes them larger, heads adds more of them."""
    parameterizations: tuple[Parameterization, ...] = Field(
        (Parameterization(name="gqa-mup"), Parameterization(name="sp")), min_length=1
    )
    """The parameterizations to compare, on the same initial weights and batches."""
    seeds: PositiveInt = 3
    """Number of seeds for initial weights and batches; intervals are over these seeds."""

    @field_validator("values")
    @classmethod
    def _shapes_exist(cls, values: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise PydanticCustomError("order", "must be in ascending order, each value once")
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

    def shapes(self) -> tuple[Shape, ...]:
        """The shapes along the axis, in the order of `values`."""
        return tuple(along(self.axis, self.proxy, v, self.width_grows) for v in self.values)


def _default_values(axis: AnyAxis, proxy: Shape) -> tuple[int, ...]:
    if axis == "repeat":
        return tuple(r for r in (1, 2, 4, 8, 16) if proxy.n_heads % r == 0)
    if axis == "tokens":
        return (1, 4, 16)
    # Cost grows with the square of the width, and with the depth itself.
    return (1, 2, 4, 8) if axis == "depth" else (1, 2, 4)
