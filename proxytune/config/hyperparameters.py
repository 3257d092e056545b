"""Base hyperparameters: what a study searches, independent of any shape."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from proxytune.config.base import Spec
from proxytune.config.shape import Shape

Fraction = Annotated[float, Field(ge=0, lt=1)]

TIED_LOGIT = 4.0
"""The most that a tied model's logit of the token before starts at: e⁴ is little against V."""


class BaseHyperparameters(Spec):
    """The settings at the base shape; a parameterization turns them into those of other shapes."""

    learning_rate: PositiveFloat = 0.015
    """η, the peak AdamW learning rate."""
    weight_decay: NonNegativeFloat = 0.1
    """λ; each step removes lr · weight_decay · w."""
    beta1: Fraction = 0.9
    """β₁, AdamW's first-moment decay."""
    beta2: Fraction = 0.95
    """β₂, AdamW's second-moment decay."""
    eps: PositiveFloat = 1e-8
    """ε of AdamW."""
    init_std: PositiveFloat = 0.1
    """σ, the init std of hidden and K/V matrices. Default: 1/√(base d_model)."""
    embedding_init_std: PositiveFloat = 1.0
    """σ_emb, the init std of the embedding."""
    unembedding_init_std: PositiveFloat = Field(
        default_factory=lambda seen: float(seen["init_std"])
    )
    """σ_out, the init std of the unembedding. Default: init_std."""
    embedding_multiplier: PositiveFloat = 1.0
    """α_emb, on the embedding's output."""
    attention_multiplier: PositiveFloat = 1.0
    """α_attn, on the attention logits."""
    residual_multiplier: PositiveFloat = 1.0
    """α_res, on every residual branch."""
    output_multiplier: PositiveFloat = 1.0
    """α_out, on the logits. A study's default is 1, or 4/(base d_model) if the shape is tied."""
    embedding_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the embedding's learning rate."""
    kv_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the learning rate that the K/V rule gives, of K and of V."""
    key_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the learning rate of K, on top of kv_lr_multiplier."""
    value_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the learning rate of V, on top of kv_lr_multiplier."""
    unembedding_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the unembedding's learning rate."""
    norm_lr_multiplier: PositiveFloat = 1.0
    """Multiplies the learning rate of norm gains."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps, at the start, over which the learning rate rises linearly."""

    @staticmethod
    def defaults_at(base: Shape) -> dict[str, float]:
        """Defaults that depend on the base shape: they keep activations and logits in size.

        A tied table has rows of RMS 1, and x points along the row of its own token: that token's
        logit starts at up to α_out·d_model, which must not grow with the base's width.
        """
        defaults = {"init_std": base.d_model**-0.5}
        return defaults | ({"output_multiplier": TIED_LOGIT / base.d_model} if base.tied else {})
