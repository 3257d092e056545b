"""The shape of a decoder-only transformer, with its parameters and FLOPs.

Notation: d = d_model, L = n_layers, h = n_heads, g = n_kv_heads, r = h / g, T = seq_len.
"""

from typing import Literal, Self

from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from proxytune.config.base import Spec

MOST_NAMED = 1024
"""Of more heads than these, a message does not list all divisors."""


class Shape(Spec):
    """A decoder with RMSNorm, RoPE and grouped-query attention."""

    d_model: PositiveInt
    """Width of the residual stream."""
    n_layers: PositiveInt
    """Transformer blocks, each one attention and one MLP branch."""
    n_heads: PositiveInt
    """Query heads."""
    n_kv_heads: PositiveInt = Field(default_factory=lambda seen: int(seen["n_heads"]))
    """Key/value heads; must divide n_heads. Default: n_heads (multi-head attention)."""
    # True division: a fractional default then fails the integer check, in the field to be set.
    head_dim: PositiveInt = Field(
        default_factory=lambda seen: seen["d_model"] / seen["n_heads"], validate_default=True
    )
    """Size of one head; must be even (RoPE rotates pairs). Default: d_model / n_heads."""
    mlp: Literal["swiglu", "gelu"] = "swiglu"
    """The MLP: gated SwiGLU, or plain GELU."""
    d_ff: PositiveInt = Field(
        default_factory=lambda seen: seen["d_model"] * (3 if seen["mlp"] == "swiglu" else 4)
    )
    """Inner width of the MLP. Default: 3 d_model for swiglu, 4 d_model for gelu."""
    vocab_size: PositiveInt = 256
    """Tokens in the vocabulary. Default: in a proxy, that of its tokens; else 256, for bytes."""
    seq_len: PositiveInt = 64
    """Tokens in one training sequence."""
    qk_norm: bool = False
    """Whether queries and keys pass an RMSNorm, per head."""
    tied: bool = False
    """Whether the unembedding is the embedding."""

    @field_validator("n_kv_heads")
    @classmethod
    def _divides_heads(cls, n_kv_heads: int, info: ValidationInfo) -> int:
        n_heads = info.data.get("n_heads")
        if n_heads and n_heads % n_kv_heads:
            some = range(1, min(n_heads, MOST_NAMED) + 1)
            divisors = ", ".join(str(g) for g in some if n_heads % g == 0)
            raise PydanticCustomError(
                "divides", "must divide n_heads = {n}: one of {d}", {"n": n_heads, "d": divisors}
            )
        return n_kv_heads

    @field_validator("head_dim")
    @classmethod
    def _even(cls, head_dim: int) -> int:
        if head_dim % 2:
            raise PydanticCustomError(
                "even", "must be even, since RoPE rotates pairs of dimensions"
            )
        return head_dim

    @property
    def repeat(self) -> int:
        """The repeat factor r: how many query heads share each K/V head."""
        return self.n_heads // self.n_kv_heads

    @property
    def q_dim(self) -> int:
        """h · head_dim: rows of Q, fan-in of the attention output."""
        return self.n_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """g · head_dim: rows of K and of V."""
        return self.n_kv_heads * self.head_dim

    def at(self, **changes: object) -> Self:
        """The same shape with some fields changed, validated again."""
        return self.__class__.model_validate(self.model_dump() | changes)

    def count_parameters(self) -> int:
        """Number of weights and gains; a tied embedding counts once."""
        tables = self.vocab_size * self.d_model * (1 if self.tied else 2)
        return self.count_non_embedding_parameters() + tables

    def count_non_embedding_parameters(self) -> int:
        """Number of weights and gains outside of embedding and unembedding."""
        norms = self.d_model * (2 * self.n_layers + 1)
        if self.qk_norm:
            norms += 2 * self.n_layers * self.head_dim
        return self._block_matrices() * self.n_layers + norms

    def training_flops_per_token(self) -> int:
        """Floating-point operations of the forward and backward pass, per trained token.

        6 per weight of a matrix product (the unembedding included, the embedding look-up not),
        and 12·L·h·head_dim·T for attention scores and their use, counted without the saving that
        a causal mask allows: Chowdhery et al. (PaLM), arXiv 2204.02311, appendix B.
        """
        weights = self._block_matrices() * self.n_layers + self.vocab_size * self.d_model
        return 6 * weights + 12 * self.n_layers * self.q_dim * self.seq_len

    def _block_matrices(self) -> int:
        attention = self.d_model * (2 * self.q_dim + 2 * self.kv_dim)
        return attention + self.d_model * self.d_ff * (3 if self.mlp == "swiglu" else 2)
