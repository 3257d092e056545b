"""The training part of a study: length, batch, schedule."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec


class TrainingSpec(Spec):
    """One training run, the same for every trial of a study."""

    steps: PositiveInt = 200
    """Optimizer steps."""
    batch_size: PositiveInt = 16
    """Sequences a step."""
    schedule: Literal["cosine", "linear", "wsd"] = "cosine"
    """Decay after warm-up: cosine, linear, or warm-up–stable–decay (arXiv 2404.06395)."""
    decay_fraction: float = Field(0.2, gt=0, le=1)
    """wsd: the share of the steps, at the end, over which the rate falls."""
    final_lr_fraction: float = Field(0.1, ge=0, le=1)
    """Learning rate at the end, over the peak."""
    clip_norm: PositiveFloat | None = 1.0
    """Gradient norm, per trial, above which gradients are scaled down; null: never."""
    evaluations: PositiveInt = 8
    """Evaluations on validation data, evenly spread, the last after the last step."""
    evaluation_batches: PositiveInt = 4
    """Batches of batch_size sequences in one evaluation."""
    divergence_factor: PositiveFloat = 3.0
    """A trial has diverged when its loss is not finite or above this times ln(vocab_size)."""

    @field_validator("evaluations")
    @classmethod
    def _not_more_than_steps(cls, evaluations: int, info: Any) -> int:
        steps = info.data.get("steps", evaluations)
        if evaluations > steps:
            raise PydanticCustomError("steps", "must be at most steps = {steps}", {"steps": steps})
        return evaluations

    def tokens(self, seq_len: int) -> int:
        """Tokens of one run."""
        return self.steps * self.batch_size * seq_len

    def evaluation_steps(self) -> tuple[int, ...]:
        """Steps after which there is an evaluation, ascending; the last is `steps`."""
        return tuple(i * self.steps // self.evaluations for i in range(1, self.evaluations + 1))
