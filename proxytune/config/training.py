"""The training block: length, batch and schedule of a training run."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec


class TrainingSpec(Spec):
    """One training run, the same for all trials of a study."""

    steps: PositiveInt = 200
    """Optimizer steps."""
    batch_size: PositiveInt = 16
    """Sequences per step."""
    schedule: Literal["cosine", "linear", "wsd"] = "cosine"
    """Decay after warm-up: cosine, linear, or warm-up–stable–decay (arXiv 2404.06395)."""
    decay_fraction: float = Field(0.2, gt=0, le=1)
    """For wsd: the share of the steps, at the end, over which the learning rate falls."""
    final_lr_fraction: float = Field(0.1, ge=0, le=1)
    """Learning rate at the end, as a fraction of the peak."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest gradient norm of a trial; larger gradients are scaled down. null: no clipping."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products and attention. bfloat16: by autocast; weights, moments and losses stay in
    float32, and a trial's loss depends a little on who shares its pack."""
    evaluations: PositiveInt = 8
    """Number of evaluations on validation data, evenly spaced; the last is after the last step."""
    evaluation_batches: PositiveInt = 4
    """Batches per evaluation, each of batch_size sequences."""
    divergence_factor: PositiveFloat = 3.0
    """A trial counts as diverged if its loss is not finite, or above this times ln(vocab_size)."""

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
        """The steps after which there is an evaluation, ascending; the last is `steps`."""
        return tuple(i * self.steps // self.evaluations for i in range(1, self.evaluations + 1))
