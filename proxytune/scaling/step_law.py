"""A second opinion on a target's learning rate and batch: fitted to many runs, from no study.

No transfer rule: its learning rate belongs to its batch, and to one rate for all parameters of a
model in standard parameterization.

Notation
    N parameters outside of the embeddings; D tokens in all
    η(N, D) = 1.79 · N^−0.713 · D^0.307       peak learning rate
    B(D) = 0.58 · D^0.571                     tokens per step

Source
    Li et al., Step Law, arXiv 2503.04715
"""

from proxytune.config.base import Spec
from proxytune.config.shape import Shape


class StepLaw(Spec):
    """What Step Law would train a model with."""

    parameters: int
    """N, outside of the embeddings."""
    tokens: float
    """D, in all."""
    learning_rate: float
    """Its peak, of all parameters."""
    batch: float
    """Tokens per step."""
    source: str = "Step Law, arXiv 2503.04715"
    """The paper."""

    @classmethod
    def of(cls, shape: Shape, tokens: float) -> "StepLaw":
        """For a shape that trains on so many tokens."""
        parameters = shape.count_non_embedding_parameters()
        return cls(
            parameters=parameters,
            tokens=tokens,
            learning_rate=1.79 * parameters**-0.713 * tokens**0.307,
            batch=0.58 * tokens**0.571,
        )
