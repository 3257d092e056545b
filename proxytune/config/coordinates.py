"""A coordinate check: what is trained, at which shapes, and for how long."""

import math
from typing import Any

from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.axis import AxisName, AxisSpec, WidthGrows
from proxytune.config.execution import ExecutionSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import validate

STEPS = 24
"""AdamW steps of a check that sees the start of training."""
LATE = 2.4
"""Steps of a late check, as a multiple of 1/(learning rate · weight decay)."""


class CoordinateSpec(AxisSpec):
    """A coordinate check. Of `training`, the batch size counts, and with `late` the schedule."""

    axis: AxisName
    """The dimension that varies."""
    late: bool = False
    """Check a whole training run, with its schedule and decay, and not just its first steps."""
    steps: PositiveInt = Field(
        default_factory=lambda seen: _default_steps(seen["late"], seen["hyperparameters"])
    )
    """AdamW steps before updates are measured. Default: 24; with `late`, 2.4 times 1/(learning
    rate · weight decay). A late check takes at least that time, in which decay forgets the
    initial weights."""
    width_grows: WidthGrows = "heads"
    """How a wider shape gets its heads: heads adds more of them, head_dim makes them larger."""
    seeds: int = Field(16, ge=2)
    """Number of seeds for initial weights and batches; intervals are over these seeds."""
    execution: ExecutionSpec = ExecutionSpec(executor="local")
    """Where models train. Default: in this process, or on the Ray cluster given by address."""

    @field_validator("late")
    @classmethod
    def _decays(cls, late: bool, info: ValidationInfo) -> bool:
        base = info.data.get("hyperparameters")
        if late and base is not None and not base.weight_decay:
            raise PydanticCustomError("late", "needs hyperparameters.weight_decay above 0")
        return late

    @field_validator("steps")
    @classmethod
    def _late_enough(cls, steps: int, info: ValidationInfo) -> int:
        base = info.data.get("hyperparameters")
        if info.data.get("late") and base is not None and steps < _time_of_decay(base):
            raise PydanticCustomError(
                "late",
                "must be at least 1/(learning_rate · weight_decay) = {least} in a late check",
                {"least": math.ceil(_time_of_decay(base))},
            )
        return steps


def _time_of_decay(base: BaseHyperparameters) -> float:
    """Steps in which decay shrinks a weight by e: 1/(ηλ)."""
    return 1 / (base.learning_rate * base.weight_decay)


def _default_steps(late: bool, base: BaseHyperparameters) -> int:
    return math.ceil(LATE * _time_of_decay(base)) if late else STEPS


_PROXY: dict[str, Any] = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2}
SETTINGS: dict[str, Any] = {"learning_rate": 0.008, "residual_multiplier": 0.25}
# At this decay 1/(ηλ) is 62 steps.
_LATE: dict[str, Any] = {"weight_decay": 2.0}
# What branches and logits add at random falls with the size of a model, and bends slopes in the
# long run; so they start small (for logits, arXiv 2203.03466, appendix D.2).
_LATE_OF_SIZE = _LATE | {"residual_multiplier": 0.125, "unembedding_init_std": 0.06}
_BY_AXIS: dict[str, dict[str, Any]] = {
    # What the first blocks add at random counts for less in a deeper model, and bends slopes.
    "depth": {
        "proxy": _PROXY | {"n_layers": 6},
        "values": (1, 4),
        "hyperparameters": SETTINGS | {"residual_multiplier": 0.125},
        "seeds": 12,
    },
    "repeat": {"proxy": _PROXY | {"n_heads": 8}},
}
"""What a check is of where nothing is given."""


def coordinate_spec(document: CoordinateSpec | dict[str, Any]) -> CoordinateSpec:
    """A coordinate check from a document; without a proxy it is of a small decoder.

    Raises InputError that names every bad field.
    """
    if isinstance(document, CoordinateSpec):
        return document
    axis = str(document.get("axis"))
    if "proxy" not in document:
        small = {"proxy": _PROXY, "hyperparameters": SETTINGS, "training": {"batch_size": 8}}
        small |= _BY_AXIS.get(axis, {})
        given = document.get("hyperparameters", {})
        if isinstance(given, dict):
            if document.get("late") is True:
                given = (_LATE if axis == "repeat" else _LATE_OF_SIZE) | given
            given = small["hyperparameters"] | given
        document = small | document | {"hyperparameters": given}
    return validate(CoordinateSpec, {"name": f"default-{axis}"} | document, "coord-check")
