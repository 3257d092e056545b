"""What a coordinate check trains: shapes along an axis, for a few steps."""

from typing import Any

from pydantic import PositiveInt

from proxytune.spec.axis import AxisSpec


class CoordinateSpec(AxisSpec):
    """A coordinate check. Of `training`, the batch size counts; the rate is constant."""

    steps: PositiveInt = 12
    """AdamW steps before updates are measured."""


DEFAULT: dict[str, Any] = {
    "name": "default",
    "proxy": {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2},
    "hyperparameters": {"learning_rate": 0.008},
}
"""What is checked unless a study says otherwise."""
