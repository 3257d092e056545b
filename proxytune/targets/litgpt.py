"""litgpt's model_config.yaml as a shape, with what is not modelled of it.

Fields, defaults and how they are used: litgpt/config.py and litgpt/model.py, in 2026.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt

from proxytune.config.base import Spec
from proxytune.config.load import validate
from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled
from proxytune.targets import features
from proxytune.targets.architecture import Architecture, refuse, shape_of

NAMES = {
    "d_model": "n_embd",
    "n_layers": "n_layer",
    "n_heads": "n_head",
    "n_kv_heads": "n_query_groups",
    "head_dim": "head_size",
    "d_ff": "intermediate_size",
    "seq_len": "block_size",
}
"""What a shape's fields are called in the file."""


class Config(Spec):
    """The fields of litgpt's `Config` that count here, with its defaults."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    block_size: PositiveInt = 4096
    n_layer: PositiveInt = 16
    n_embd: PositiveInt = 4096
    vocab_size: PositiveInt = 50254
    padding_multiple: PositiveInt = 512
    padded_vocab_size: PositiveInt | None = None
    norm_class_name: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    norm_qk: bool = False
    norm_qk_type: Literal["default", "olmo2"] = "default"
    norm_1: bool = True
    norm_2: bool = True
    post_attention_norm: bool = False
    post_mlp_norm: bool = False
    parallel_residual: bool = True
    n_head: PositiveInt = 32
    head_size: PositiveInt | None = None
    n_query_groups: PositiveInt | None = None
    attn_bias: bool = False
    attention_scores_scalar: PositiveFloat | None = None
    sliding_window_size: PositiveInt | None = None
    sliding_window_indices: tuple[int, ...] | None = None
    attention_logit_softcapping: PositiveFloat | None = None
    rope_base: PositiveFloat = 10_000.0
    rotary_percentage: float = Field(0.25, ge=0, le=1)
    rope_adjustments: dict[str, Any] | None = None
    intermediate_size: PositiveInt | None = None
    moe_intermediate_size: PositiveInt | None = None
    bias: bool = True
    mlp_class_name: Literal["GptNeoxMLP", "LLaMAMLP", "GemmaMLP", "LLaMAMoE"] = "GptNeoxMLP"
    n_expert: int = 0
    scale_embeddings: bool = False
    lm_head_bias: bool = False
    final_logit_softcapping: PositiveFloat | None = None
    latent_attention: dict[str, Any] | None = None


class LitGpt:
    """Reads model_config.yaml. It says nothing of tied embeddings, so they are read as untied."""

    file_name = "model_config.yaml"

    def document(self, path: Path, text: str) -> dict[str, Any] | None:
        """YAML with the fields that every such file has."""
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError:
            return None
        known = isinstance(document, dict) and {"n_embd", "n_layer"} <= document.keys()
        return document if known else None

    def read(self, document: dict[str, Any], where: object) -> Architecture:
        """The model that litgpt would build."""
        config = validate(Config, document, where)
        refuse(where, _refusals(config))
        padded = -(-config.vocab_size // config.padding_multiple) * config.padding_multiple
        values = {
            "d_model": config.n_embd,
            "n_layers": config.n_layer,
            "n_heads": config.n_head,
            "n_kv_heads": config.n_query_groups or config.n_head,
            "head_dim": config.head_size,
            "mlp": "gelu" if config.mlp_class_name == "GptNeoxMLP" else "swiglu",
            "d_ff": config.intermediate_size or 4 * config.n_embd,
            "vocab_size": config.padded_vocab_size or padded,
            "seq_len": config.block_size,
            "qk_norm": config.norm_qk,
        }
        given = {field: value for field, value in values.items() if value is not None}
        shape = shape_of(NAMES, given, where)
        return Architecture(
            shape=shape, not_modelled=(*_attention(config, shape), *_rest(config, shape))
        )


def _refusals(config: Config) -> list[str]:
    found = []
    if config.mlp_class_name == "LLaMAMoE":
        width = config.moe_intermediate_size or config.intermediate_size
        found.append(
            f"is a mixture of {config.n_expert} experts of width {width}, where a shape has one "
            "dense MLP"
        )
    if config.latent_attention is not None:
        found.append(
            "has latent attention (MLA): K and V come from one matrix, so n_query_groups is no "
            "grouping, and no K/V rule applies"
        )
    return found


def _attention(config: Config, shape: Shape) -> list[NotModelled]:
    found = [*features.rope_base(config.rope_base), features.fused_qkv()]
    if config.rope_adjustments:
        original = config.rope_adjustments.get("original_max_seq_len")
        found.append(features.rope_scaling("rope_adjustments", original))
    if config.rotary_percentage != 1:
        found.append(features.partial_rope(config.rotary_percentage))
    window = config.sliding_window_size
    if window is not None and window < config.block_size:
        layers = sum(config.sliding_window_indices or (1,) * config.n_layer)
        found.append(features.window(window, layers, config.n_layer))
    if config.norm_qk and config.norm_qk_type == "olmo2":
        found.append(features.qk_norm_over_heads(shape))
    if config.attention_scores_scalar is not None:
        found.append(features.attention_scale(config.attention_scores_scalar))
    if config.attention_logit_softcapping is not None:
        found.append(features.softcap("attention scores", config.attention_logit_softcapping))
    return found


def _rest(config: Config, shape: Shape) -> list[NotModelled]:
    mlp = ("up", "down") if shape.mlp == "gelu" else ("gate", "up", "down")
    biased: tuple[str, ...] = ("q", "k", "v") if config.bias or config.attn_bias else ()
    biased += ("o", *mlp) if config.bias else ()
    biased += ("head",) if config.lm_head_bias else ()
    found = features.biases(shape, biased)
    if config.mlp_class_name == "GemmaMLP":
        found.append(features.activation("GELU"))
    if config.norm_class_name == "LayerNorm":
        found.append(features.layer_norm(shape))
    if config.post_attention_norm and config.post_mlp_norm:
        before = config.norm_1 and config.norm_2
        found.append(features.further_norms(shape) if before else features.norms_after_branches())
    if config.parallel_residual:
        found.append(features.parallel_branches())
    if "gemma" in config.name.lower():
        found.append(features.gains_from_zero())
    if config.scale_embeddings:
        found.append(features.scaled_embedding(shape.d_model**0.5))
    if config.final_logit_softcapping is not None:
        found.append(features.softcap("logits", config.final_logit_softcapping))
    return found
