"""Small Hugging Face models with random weights, and proxytune's weights under their names."""

from typing import Any

import torch
from torch import Tensor

from proxytune.config.shape import Shape
from proxytune.models.transformer import PackedTransformer
from proxytune.testing.packs import hyperparameters

BASE = Shape(d_model=16, n_layers=2, n_heads=4, seq_len=16)
TARGET = Shape(d_model=32, n_layers=3, n_heads=8, n_kv_heads=2, d_ff=72, seq_len=16)
TUNED = hyperparameters(
    0.03,
    weight_decay=0.2,
    init_std=0.25,
    embedding_multiplier=2.0,
    attention_multiplier=1.5,
    residual_multiplier=0.8,
    output_multiplier=1.5,
)
LAYER = {
    "attention_norm.gain_KxD": "input_layernorm",
    "attention.query.weight_KxOxI": "self_attn.q_proj",
    "attention.key.weight_KxOxI": "self_attn.k_proj",
    "attention.value.weight_KxOxI": "self_attn.v_proj",
    "attention.out.weight_KxOxI": "self_attn.o_proj",
    "mlp_norm.gain_KxD": "post_attention_layernorm",
    "mlp.gate.weight_KxOxI": "mlp.gate_proj",
    "mlp.inner.weight_KxOxI": "mlp.up_proj",
    "mlp.out.weight_KxOxI": "mlp.down_proj",
}
WHOLE = {
    "embedding.weight_KxVxD": "model.embed_tokens",
    "final_norm.gain_KxD": "model.norm",
    "unembedding.weight_KxOxI": "lm_head",
}


def config_of(shape: Shape, **fields: Any) -> dict[str, Any]:
    """The shape in Hugging Face's words."""
    return {
        "hidden_size": shape.d_model,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.d_ff,
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.seq_len,
        "tie_word_embeddings": shape.tied,
        "rms_norm_eps": 1e-6,
        **{f"{token}_token_id": None for token in ("bos", "eos", "pad")},
        **fields,
    }


def weights_of(model: PackedTransformer) -> dict[str, Tensor]:
    """The first member's weights, as a state dict of a Llama or Granite."""
    names = dict(WHOLE)
    for layer in range(model.shape.n_layers):
        for ours, theirs in LAYER.items():
            names[f"blocks.{layer}.{ours}"] = f"model.layers.{layer}.{theirs}"
    return {f"{names[ours]}.weight": w[0].clone() for ours, w in model.state_dict().items()}


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of (B, T, V) logits for the tokens (B, T + 1) they foretell."""
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
