"""What a config.json does not say about its model: a class's defaults, and how it is built.

The defaults are those of `class …Config` in transformers 5.23, models/<model_type>/
configuration_<model_type>.py; how a class is built is in modeling_<model_type>.py beside it. A
file may lack any field, and Gemma's do lack some.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The models of one model_type."""

    defaults: Mapping[str, object]
    """Fields that a file may lack. A field that is null in a file stays null."""
    bias: Literal["none", "attention", "all", "qkv"] = "attention"
    """Whether there are biases never, where attention_bias says so, where it or mlp_bias does, or
    always on q, k and v."""
    qk_norm: Literal["none", "head", "heads"] = "none"
    """Whether queries and keys are normed, each head by itself or all heads together."""
    norms: Literal["before", "after", "both"] = "before"
    """Whether norms are on the inputs of branches, on their outputs, or on both."""
    full_every: int | None = None
    """With a sliding window, one of so many layers sees all tokens; 0: none does; None: the class
    knows no window."""
    fused_qkv: bool = False
    gemma: bool = False
    """Gains of 1 + w, and embeddings times √d_model."""
    multipliers: bool = False
    """Whether it has μP constants of its own."""


def _defaults(
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    num_key_value_heads: int | None,
    intermediate_size: int,
    vocab_size: int,
    max_position_embeddings: int,
    **further: object,
) -> dict[str, object]:
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": num_attention_heads,
        "num_key_value_heads": num_key_value_heads,
        "intermediate_size": intermediate_size,
        "vocab_size": vocab_size,
        "max_position_embeddings": max_position_embeddings,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        "rope_theta": 10_000.0,
        **further,
    }


_QWEN: Mapping[str, object] = {
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}
_GEMMA: Mapping[str, object] = {
    "head_dim": 256,
    "tie_word_embeddings": True,
    "hidden_act": "gelu_pytorch_tanh",
}
_GEMMA_2 = {**_GEMMA, "query_pre_attn_scalar": 256, "sliding_window": 4096}

FAMILIES: Mapping[str, Family] = {
    "llama": Family(defaults=_defaults(4096, 32, 32, None, 11008, 32000, 2048), bias="all"),
    "mistral": Family(
        defaults=_defaults(4096, 32, 32, 8, 14336, 32000, 131_072, sliding_window=4096),
        bias="none",
        full_every=0,
    ),
    "qwen2": Family(
        defaults=_defaults(4096, 32, 32, 32, 22016, 151_936, 32768, **_QWEN),
        bias="qkv",
        full_every=0,
    ),
    "qwen3": Family(
        defaults=_defaults(4096, 32, 32, 32, 22016, 151_936, 32768, head_dim=128, **_QWEN),
        qk_norm="head",
        full_every=0,
    ),
    "smollm3": Family(
        defaults=_defaults(
            2048,
            36,
            16,
            4,
            11008,
            128_256,
            32768,
            tie_word_embeddings=True,
            rope_theta=2_000_000.0,
            no_rope_layer_interval=4,
            use_sliding_window=False,
        ),
        bias="all",
        full_every=0,
    ),
    "phi3": Family(
        defaults=_defaults(3072, 32, 32, None, 8192, 32064, 4096),
        bias="none",
        full_every=0,
        fused_qkv=True,
    ),
    "granite": Family(
        defaults=_defaults(4096, 32, 32, None, 11008, 32000, 2048), bias="all", multipliers=True
    ),
    "hyperclovax": Family(
        defaults=_defaults(4096, 32, 32, None, 11008, 32000, 2048, use_post_norm=True),
        bias="all",
        multipliers=True,
    ),
    "olmo2": Family(
        defaults=_defaults(4096, 32, 32, None, 11008, 50304, 2048), qk_norm="heads", norms="after"
    ),
    "olmo3": Family(
        defaults=_defaults(
            4096,
            32,
            32,
            None,
            11008,
            50304,
            2048,
            rope_theta=500_000.0,
            sliding_window=4096,
        ),
        qk_norm="heads",
        norms="after",
        full_every=4,
    ),
    "gemma": Family(
        defaults=_defaults(3072, 28, 16, 16, 24576, 256_000, 8192, **_GEMMA), gemma=True
    ),
    "gemma2": Family(
        defaults=_defaults(
            2304,
            26,
            8,
            4,
            9216,
            256_000,
            8192,
            **_GEMMA_2,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
        ),
        norms="both",
        full_every=2,
        gemma=True,
    ),
    "gemma3_text": Family(
        defaults=_defaults(
            2304, 26, 8, 4, 9216, 262_208, 131_072, **_GEMMA_2, rope_theta=1_000_000.0
        ),
        qk_norm="head",
        norms="both",
        full_every=6,
        gemma=True,
    ),
}
"""By model_type."""
