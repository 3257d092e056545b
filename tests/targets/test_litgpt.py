"""litgpt's model_config.yaml is read as litgpt reads it."""

from typing import Any

import yaml

from proxytune.config.shape import Shape
from proxytune.config.target import count_parameters
from proxytune.targets.architecture import Architecture
from proxytune.targets.litgpt import LitGpt
from tests.targets.contract import FormatContract

LLAMA: dict[str, Any] = {
    "name": "Llama-3.2-1B",
    "block_size": 131072,
    "n_layer": 16,
    "n_embd": 2048,
    "n_head": 32,
    "n_query_groups": 8,
    "vocab_size": 128000,
    "padded_vocab_size": 128256,
    "rotary_percentage": 1.0,
    "parallel_residual": False,
    "bias": False,
    "norm_class_name": "RMSNorm",
    "mlp_class_name": "LLaMAMLP",
    "intermediate_size": 8192,
    "rope_base": 500000,
    "rope_adjustments": {"factor": 32.0, "original_max_seq_len": 8192},
}
PYTHIA: dict[str, Any] = {
    "name": "pythia-1b",
    "block_size": 2048,
    "n_layer": 16,
    "n_embd": 2048,
    "n_head": 8,
    "padding_multiple": 128,
}


def read(document: dict[str, Any]) -> Architecture:
    return LitGpt().read(document, "model_config.yaml")


def told(document: dict[str, Any]) -> str:
    return "\n".join(item.what for item in read(document).not_modelled)


class TestContract(FormatContract):
    fmt = LitGpt()
    example = yaml.safe_dump(LLAMA)
    shape = Shape(
        d_model=2048,
        n_layers=16,
        n_heads=32,
        n_kv_heads=8,
        d_ff=8192,
        vocab_size=128256,
        seq_len=131072,
    )
    refused = (
        (
            yaml.safe_dump(LLAMA | {"mlp_class_name": "LLaMAMoE", "n_expert": 8}),
            "mixture of 8 experts of width 8192",
        ),
        (yaml.safe_dump(LLAMA | {"latent_attention": {"kv_lora_rank": 512}}), "latent attention"),
    )
    wrong = (
        "n_query_groups: 8",
        "n_query_groups: 5",
        "n_query_groups = 5: must divide n_head = 32",
    )


def test_what_the_file_leaves_out_is_litgpt_s_default() -> None:
    """Pythia-1B: GELU, LayerNorm, biases, and a padded vocabulary; 1,011,781,632 parameters."""
    found = read(PYTHIA)
    assert (found.shape.mlp, found.shape.d_ff, found.shape.vocab_size) == ("gelu", 8192, 50304)
    assert count_parameters(found.shape, found.not_modelled) == 1_011_781_632
    for fact in ("LayerNorm", "in parallel", "25% of each head", "biases on q, k, v, o, up, down"):
        assert fact in told(PYTHIA)


def test_what_litgpt_builds_otherwise_is_told() -> None:
    assert "base 500000" in told(LLAMA)
    assert "beyond 8192 tokens" in told(LLAMA)
    gemma = LLAMA | {
        "name": "Gemma-2-2b",
        "mlp_class_name": "GemmaMLP",
        "post_attention_norm": True,
        "post_mlp_norm": True,
        "scale_embeddings": True,
        "sliding_window_size": 4096,
        "sliding_window_indices": [1, 0] * 8,
        "final_logit_softcapping": 30.0,
        "attention_logit_softcapping": 50.0,
        "attention_scores_scalar": 256,
    }
    for fact in ("GELU", "1 + w", "√d_model", "in 8 of 16 layers", "±30", "±50", "√256"):
        assert fact in told(gemma)
    olmo = LLAMA | {
        "norm_qk": True,
        "norm_qk_type": "olmo2",
        "norm_1": False,
        "norm_2": False,
        "post_attention_norm": True,
        "post_mlp_norm": True,
    }
    assert read(olmo).shape.qk_norm
    for fact in ("over all heads", "a proxy they are on the inputs"):
        assert fact in told(olmo)
