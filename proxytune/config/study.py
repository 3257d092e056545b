"""study.yaml as a typed value."""

from typing import Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import NAME_PATTERN
from proxytune.config.experiment import ExperimentSpec, require_allowed
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.search import SearchSpec, SelectionSpec


class StudySpec(ExperimentSpec):
    """A study: a search for the best base hyperparameters, on proxies of one shape."""

    start_from: str | None = Field(None, pattern=NAME_PATTERN)
    """Name of another study, whose best points are tried first, after search.start."""
    parameterization: Parameterization = Parameterization()
    """The scaling rules, by name."""
    search: SearchSpec
    """What to search, and how."""
    selection: SelectionSpec = SelectionSpec()
    """How the best trial is confirmed."""

    @field_validator("search")
    @classmethod
    def _space_is_allowed(cls, search: SearchSpec, info: ValidationInfo) -> SearchSpec:
        fixed = info.data.get("hyperparameters")
        if fixed is not None:
            for name, entry in search.space.items():
                require_allowed(f"space.{name}", name, entry.ends(), fixed)
        size = search.pack_size
        if info.data.get("trainer") is not None and size not in ("auto", 1):
            raise PydanticCustomError(
                "pack_size",
                "is {size}, but a trainer of your own trains one trial at a time; leave it out",
                {"at": "pack_size", "size": size},
            )
        return search

    def hyperparameters_of(self, params: dict[str, Any]) -> BaseHyperparameters:
        """The base hyperparameters of a trial: its searched values, and the fixed rest."""
        return BaseHyperparameters.model_validate(self.hyperparameters.model_dump() | params)
