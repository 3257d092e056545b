"""A config.json as a shape, with what is not modelled of it."""

import json
from pathlib import Path
from typing import Any

from proxytune.config.load import validate
from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled
from proxytune.errors import InputError
from proxytune.targets import features
from proxytune.targets.architecture import Architecture, refuse, shape_of
from proxytune.targets.huggingface.config import Config
from proxytune.targets.huggingface.families import FAMILIES, Family
from proxytune.targets.huggingface.refusals import refusals

MARKS = ("model_type", "hidden_size", "text_config", "architectures")
"""Fields of which every config.json has one."""
SWITCHES = ("use_sliding_window", "max_window_layers", "use_post_norm")
"""Fields that some classes read and others ignore."""
TOWERS = ("vision_config", "audio_config")
"""Encoders of other media."""
NAMES = {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "d_ff": "intermediate_size",
    "seq_len": "max_position_embeddings",
}
"""What a shape's fields are called in a config.json; others have the same name in both."""


class HuggingFace:
    """Reads config.json."""

    file_name = "config.json"

    def document(self, path: Path, text: str) -> dict[str, Any] | None:
        """JSON with fields of a model; Python's parser also takes the word Infinity."""
        if not text.lstrip().startswith("{"):
            return None
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            if path.suffix == ".json":
                raise InputError(f"{path}: is not valid JSON: {error}") from None
            return None
        return document if any(mark in document for mark in MARKS) else None

    def read(self, document: dict[str, Any], where: object) -> Architecture:
        """The language model in the document."""
        text, beside = _language_model(document)
        kind = text.get("model_type")
        refuse(f"{where}: model_type = {kind!r}", refusals(text))
        family = FAMILIES.get(str(kind))
        if family is None:
            raise InputError(
                f"{where}: model_type = {kind!r}: is not known; known are {', '.join(FAMILIES)}. "
                "If proxytune's decoder is close enough to the model, write a target.yaml with "
                "its shape"
            )
        ignored = {field for field in SWITCHES if field not in family.defaults}
        given = {field: value for field, value in text.items() if field not in ignored}
        config = validate(Config, {**family.defaults, **given}, where)
        shape = _shape(config, family, where)
        found = [*beside, *_attention(config, family, shape), *_rest(config, family, shape)]
        return Architecture(shape=shape, not_modelled=tuple(found))


def _language_model(document: dict[str, Any]) -> tuple[dict[str, Any], list[NotModelled]]:
    """The language model of a model for several media, and a word on the others."""
    text = document.get("text_config")
    if not isinstance(text, dict):
        return document, []
    inherited = {"model_type": f"{document.get('model_type')}_text"}
    if "tie_word_embeddings" in document:
        inherited["tie_word_embeddings"] = document["tie_word_embeddings"]
    towers = [name for name in document if name in TOWERS]
    return inherited | text, [features.beside_text(", ".join(towers))] if towers else []


def _shape(config: Config, family: Family, where: object) -> Shape:
    values: dict[str, object] = {
        "d_model": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads or config.num_attention_heads,
        "d_ff": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "seq_len": config.length,
        "qk_norm": family.qk_norm != "none",
        "tied": config.tie_word_embeddings,
    }
    head = {"head_dim": config.head_dim} if config.head_dim else {}
    return shape_of(NAMES, values | head, where)


def _attention(config: Config, family: Family, shape: Shape) -> list[NotModelled]:
    """Of attention and positions."""
    rope, layers = config.rope, config.num_hidden_layers
    found = features.rope_base(rope.rope_theta)
    if rope.rope_type != "default":
        original = rope.original_max_position_embeddings
        found.append(features.rope_scaling(rope.rope_type, original))
    if rope.partial_rotary_factor != 1:
        found.append(features.partial_rope(rope.partial_rotary_factor))
    if without := config.layers_without_rope():
        found.append(features.without_rope(without, layers))
    window, every = config.sliding_window or 0, family.full_every
    windowed = 0 if every is None else config.windowed_layers(every)
    if windowed and window < config.length:
        found.append(features.window(window, windowed, layers))
    if family.qk_norm == "heads":
        found.append(features.qk_norm_over_heads(shape))
    if (scalar := config.query_pre_attn_scalar) is not None:
        found.append(features.attention_scale(scalar))
    if (cap := config.attn_logit_softcapping) is not None:
        found.append(features.softcap("attention scores", cap))
    if family.fused_qkv:
        found.append(features.fused_qkv())
    return found


def _rest(config: Config, family: Family, shape: Shape) -> list[NotModelled]:
    """Of MLP, norms, biases, embedding and logits."""
    found = features.biases(shape, _biased(config, family))
    act = config.hidden_activation or config.hidden_act
    if act not in ("silu", "swish"):
        found.append(features.activation(act))
    if family.norms == "after":
        found.append(features.norms_after_branches())
    if family.norms == "both" or config.use_post_norm:
        found.append(features.further_norms(shape))
    if family.gemma:
        found += [features.gains_from_zero(), features.scaled_embedding(shape.d_model**0.5)]
    if family.multipliers:
        found.append(
            features.own_multipliers(
                "embedding_multiplier, attention_multiplier, residual_multiplier and "
                "logits_scaling"
            )
        )
    if (cap := config.final_logit_softcapping) is not None:
        found.append(features.softcap("logits", cap))
    for field in ("attention_dropout", "embd_pdrop", "resid_pdrop"):
        if (rate := getattr(config, field)) > 0:
            found.append(features.dropout(field, rate))
    return found


def _biased(config: Config, family: Family) -> tuple[str, ...]:
    if family.bias == "qkv":
        return ("q", "k", "v")
    if family.bias == "none":
        return ()
    attention = ("q", "k", "v", "o") if config.attention_bias else ()
    mlp = config.mlp_bias and family.bias == "all"
    return attention + (("gate", "up", "down") if mlp else ())
