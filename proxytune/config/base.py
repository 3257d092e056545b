"""What every spec has in common: frozen, strict about keys, and plain to print."""

from pydantic import BaseModel, ConfigDict

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Names of studies and targets. They become folder names: nothing in them can leave a folder."""


class Spec(BaseModel):
    """Base of all specs: immutable, unknown keys refused, NaN and infinity refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
