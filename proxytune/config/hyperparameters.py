"""Base hyperparameters: what a study searches, free of any shape."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from proxytune.config.base import Spec

Fraction = Annotated[float, Field(ge=0, lt=1)]


class BaseHyperparameters(Spec):
    """The settings of the base shape; a parameterization turns them into those of any other."""

    learning_rate: PositiveFloat = 0.015
    """η, the peak AdamW learning rate."""
    weight_decay: NonNegativeFloat = 0.1
    """λ; a step removes lr · weight_decay · w."""
    beta1: Fraction = 0.9
    """AdamW's first-moment decay."""
    beta2: Fraction = 0.95
    """AdamW's second-moment decay."""
    eps: PositiveFloat = 1e-8
    """AdamW's ε."""
    init_std: PositiveFloat = 0.1
    """σ, the init std of hidden and K/V matrices. A study's default is 1/√(base d_model)."""
    embedding_init_std: PositiveFloat = 1.0
    """σ_emb."""
    unembedding_init_std: PositiveFloat = Field(
        default_factory=lambda seen: float(seen["init_std"])
    )
    """σ_out. Default: init_std."""
    embedding_multiplier: PositiveFloat = 1.0
    """α_emb, on the embedding's output."""
    attention_multiplier: PositiveFloat = 1.0
    """α_attn, on the attention logits."""
    residual_multiplier: PositiveFloat = 1.0
    """α_res, on every residual branch."""
    output_multiplier: PositiveFloat = 1.0
    """α_out, on the logits."""
    embedding_lr_multiplier: PositiveFloat = 1.0
    """Embedding learning rate over η."""
    kv_lr_multiplier: PositiveFloat = 1.0
    """K/V learning rate over what the rule gives."""
    unembedding_lr_multiplier: PositiveFloat = 1.0
    """Unembedding learning rate over η."""
    norm_lr_multiplier: PositiveFloat = 1.0
    """Learning rate of norm gains over η."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps over which the learning rate rises linearly."""

    @staticmethod
    def defaults_at(d_model: int) -> dict[str, float]:
        """Defaults that follow the width of the base: an init that keeps activations' size."""
        return {"init_std": d_model**-0.5}
