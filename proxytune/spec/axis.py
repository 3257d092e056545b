"""Shapes along one axis of a proxy: what coordinate checks and evidence vary, all else kept."""

from typing import Literal, get_args

from proxytune.errors import InputError
from proxytune.spec.shape import Shape

AxisName = Literal["width", "depth", "repeat"]
AXES: tuple[AxisName, ...] = get_args(AxisName)
WidthGrows = Literal["head_dim", "heads"]


def along(axis: AxisName, proxy: Shape, value: int, grows: WidthGrows = "head_dim") -> Shape:
    """The shape at one value of an axis.

    width: `value` times as wide, in head_dim or in the number of heads, with the repeat factor
    kept; depth: `value` times as deep; repeat: at repeat factor `value`. Raises InputError for a
    repeat factor that does not divide n_heads.
    """
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
    """Where a shape stands on an axis: its d_model, n_layers or repeat factor."""
    return {"width": shape.d_model, "depth": shape.n_layers, "repeat": shape.repeat}[axis]
