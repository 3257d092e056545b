"""study.yaml and target.yaml as typed values."""

from typing import Any, Self

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator, model_validator

from proxytune.spec.base import NAME_PATTERN, Spec
from proxytune.spec.experiment import ExperimentSpec, require_allowed, require_same_style
from proxytune.spec.hyperparameters import BaseHyperparameters
from proxytune.spec.parameterization import Parameterization
from proxytune.spec.search import SearchSpec, SelectionSpec
from proxytune.spec.shape import Shape
from proxytune.spec.training import CheckSpec


class StudySpec(ExperimentSpec):
    """A study: proxies of one shape, searched for the best base hyperparameters."""

    parameterization: Parameterization = Parameterization()
    """The scaling rules."""
    search: SearchSpec
    """What is searched, and how."""
    selection: SelectionSpec = SelectionSpec()
    """How the best trial is confirmed."""

    @field_validator("search")
    @classmethod
    def _space_is_allowed(cls, search: SearchSpec, info: ValidationInfo) -> SearchSpec:
        fixed = info.data.get("hyperparameters")
        if fixed is not None:
            for name, axis in search.space.items():
                require_allowed(f"space.{name}", name, axis.ends(), fixed)
        return search

    def hyperparameters_of(self, params: dict[str, Any]) -> BaseHyperparameters:
        """The base hyperparameters of a trial: the fixed ones, with the searched ones in place."""
        return BaseHyperparameters.model_validate(self.hyperparameters.model_dump() | params)


class TargetSpec(Spec):
    """A target: the large shape that the base hyperparameters are projected onto."""

    name: str = Field(pattern=NAME_PATTERN)
    """Names the target; default: the file's name."""
    shape: Shape
    """The large shape."""
    tokens: PositiveFloat | None = None
    """Tokens of its planned training run, such as 15e12; what tuning costs is compared with it."""
    check: CheckSpec = CheckSpec()
    """The check run and its criteria."""
    check_shape: Shape | None = None
    """A smaller stand-in for the check run, if the target itself is too large to train here."""

    @property
    def flops(self) -> float | None:
        """Floating-point operations of the planned run; None without a token budget."""
        return self.tokens and self.tokens * self.shape.training_flops_per_token()

    @model_validator(mode="after")
    def _stand_in_alike(self) -> Self:
        if self.check_shape is not None:
            require_same_style(self.shape, self.check_shape)
        return self
