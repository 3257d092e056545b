"""target.yaml as a typed value."""

from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from proxytune.config.base import NAME_PATTERN, Spec
from proxytune.config.experiment import require_same_style
from proxytune.config.shape import Shape


class CheckSpec(Spec):
    """The check run of a target, and its limits for a pass."""

    steps: int | None = Field(None, ge=10)
    """Optimizer steps. null: as many as the study's trials."""
    spike: PositiveFloat = 0.5
    """How far the training loss, averaged over ten steps, may rise above its lowest, in nats."""
    update_ratio: float = Field(2.0, gt=1)
    """Largest factor between the target's and the proxy's relative update, for every role."""


class TargetSpec(Spec):
    """A target: the large shape that the base hyperparameters are projected onto."""

    name: str = Field(pattern=NAME_PATTERN)
    """Name of the target. Default: the file's name."""
    shape: Shape
    """The large shape."""
    tokens: PositiveFloat | None = None
    """Tokens of its planned training run, such as 15e12, to compare the cost of tuning with."""
    check: CheckSpec = CheckSpec()
    """The check run, and its limits for a pass."""
    check_shape: Shape | None = None
    """A smaller stand-in for the check run, if the target is too large to train here."""

    @property
    def flops(self) -> float | None:
        """Floating-point operations of the planned run; None without a token budget."""
        return self.tokens and self.tokens * self.shape.training_flops_per_token()

    @model_validator(mode="after")
    def _stand_in_alike(self) -> Self:
        if self.check_shape is not None:
            require_same_style(self.shape, self.check_shape)
        return self
