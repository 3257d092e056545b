"""Why some models have no shape: experts, latent attention, and layers without attention."""

from collections.abc import Mapping
from typing import Any

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
"""Fields with the number of experts; 0, 1 or null is a dense model."""
ATTENTION = {"full_attention", "sliding_attention", "chunked_attention", "attention"}
"""What layer_types calls layers that attend."""
LAYER_KINDS = ("layer_types", "layers_block_type", "block_types")
OTHER_LAYERS = ("mamba_", "ssm_", "linear_num_", "linear_attn_", "hybrid_", "attn_layer_")
"""Beginnings of fields that only models with recurrent layers have."""


def refusals(document: Mapping[str, Any]) -> list[str]:
    """Why the document's model has no shape; none if it has one."""
    return [*_experts(document), *_latent_attention(document), *_other_layers(document)]


def _experts(document: Mapping[str, Any]) -> list[str]:
    counts = [document[name] for name in EXPERTS if isinstance(document.get(name), int)]
    count = max(counts, default=0)
    width = document.get("moe_intermediate_size")
    if count < 2 and width is None:
        return []
    wide = f" of width {width or document.get('intermediate_size')}"
    return [f"is a mixture of {count or 'several'} experts{wide}, where a shape has one dense MLP"]


def _latent_attention(document: Mapping[str, Any]) -> list[str]:
    rank = document.get("kv_lora_rank")
    if rank is None:
        return []
    heads = document.get("num_key_value_heads")
    return [
        f"has latent attention (MLA): K and V come from one matrix of rank {rank}, so "
        f"num_key_value_heads = {heads} is no grouping, and no K/V rule applies"
    ]


def _other_layers(document: Mapping[str, Any]) -> list[str]:
    kinds = {
        str(kind)
        for name in LAYER_KINDS
        if isinstance(document.get(name), list)
        for kind in document[name]
    } - ATTENTION
    fields = {name for name in document if name.startswith(OTHER_LAYERS)}
    found = sorted(kinds) or sorted(fields)
    if not found:
        return []
    return [f"is a hybrid: not all of its layers are attention and MLP ({', '.join(found[:4])})"]
