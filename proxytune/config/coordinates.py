"""A coordinate check: what is trained, at which shapes, and for how long."""

from typing import Any

from pydantic import PositiveInt

from proxytune.config.axis import AxisSpec
from proxytune.config.execution import ExecutionSpec
from proxytune.config.load import validate


class CoordinateSpec(AxisSpec):
    """A coordinate check. Of `training`, the batch size counts; the rate is constant."""

    steps: PositiveInt = 12
    """AdamW steps before updates are measured."""
    execution: ExecutionSpec = ExecutionSpec(executor="local")
    """Where models train. Default: in this process, or on the Ray cluster given by address."""


_SMALL: dict[str, Any] = {
    "proxy": {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2},
    "hyperparameters": {"learning_rate": 0.008},
}


def coordinate_spec(document: CoordinateSpec | dict[str, Any]) -> CoordinateSpec:
    """A coordinate check from a document; without a proxy it is of a small decoder.

    Raises InputError that names every bad field.
    """
    if isinstance(document, CoordinateSpec):
        return document
    if "proxy" not in document:
        given = document.get("hyperparameters", {})
        if isinstance(given, dict):
            given = _SMALL["hyperparameters"] | given
        document = document | _SMALL | {"hyperparameters": given}
    name = f"default-{document.get('axis')}"
    return validate(CoordinateSpec, {"name": name} | document, "coord-check")
