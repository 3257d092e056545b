"""What all specs and reports have in common: they are frozen, and refuse unknown keys."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Names of studies and targets. They become folder names, so they hold no path separators."""


class Spec(BaseModel):
    """Base of all specs: immutable, unknown keys refused, NaN and infinity refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        # Files may leave out what has a default; what is printed has every key.
        json_schema_serialization_defaults_required=True,
    )


def fields_or_label(
    core_schema: CoreSchema, handler: GetJsonSchemaHandler, label: str
) -> JsonSchemaValue:
    """The JSON Schema of a spec that files may also write as a label, which `label` describes."""
    fields = handler(core_schema)
    if handler.mode != "validation":
        return fields
    return {"anyOf": [fields, {"type": "string", "description": label}]}


class Report(Spec):
    """Base of all results that a command prints and a function returns.

    Its JSON is a contract with users: keys are added, never renamed or removed. What has no finite
    value, such as the loss of a diverged trial, is None.
    """

    # Dataclasses in a report are validated along with it, so they cannot bring in a NaN.
    model_config = ConfigDict(revalidate_instances="always")

    schema_version: Literal[1] = 1
    """Of the report's JSON; a key that changes its meaning is a new version."""

    def document(self) -> dict[str, JsonValue]:
        """The report as plain data: what `--json` prints and what files hold."""
        return self.model_dump(mode="json")
