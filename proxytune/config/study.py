"""study.yaml as a typed value."""

from typing import Any

from pydantic import ValidationInfo, field_validator

from proxytune.config.experiment import ExperimentSpec, require_allowed
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.search import SearchSpec, SelectionSpec


class StudySpec(ExperimentSpec):
    """A study: a search for the best base hyperparameters, on proxies of one shape."""

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
        return search

    def hyperparameters_of(self, params: dict[str, Any]) -> BaseHyperparameters:
        """The base hyperparameters of a trial: its searched values, and the fixed rest."""
        return BaseHyperparameters.model_validate(self.hyperparameters.model_dump() | params)
