"""A file of Megatron-LM's arguments as a shape, with what is not modelled of it.

Names and defaults: megatron/training/arguments.py, and pretrain_gpt.py's model, in 2026.
"""

import re
import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt

from proxytune.config.base import Spec
from proxytune.config.load import validate
from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled
from proxytune.errors import InputError
from proxytune.targets import features
from proxytune.targets.architecture import Architecture, refuse, shape_of

NAMES = {
    "d_model": "hidden-size",
    "n_layers": "num-layers",
    "n_heads": "num-attention-heads",
    "n_kv_heads": "num-query-groups",
    "head_dim": "kv-channels",
    "d_ff": "ffn-hidden-size",
    "vocab_size": "vocab-size",
    "seq_len": "seq-length",
}
"""What a shape's fields are called as arguments."""
ARGUMENT = re.compile(r"^\s*--[a-z]", re.MULTILINE)


def _as_argument(field: str) -> str:
    return field.replace("_", "-")


class Arguments(Spec):
    """The arguments that count here, with Megatron's defaults."""

    model_config = ConfigDict(extra="ignore", alias_generator=_as_argument)

    num_layers: PositiveInt
    hidden_size: PositiveInt
    num_attention_heads: PositiveInt
    group_query_attention: bool = False
    num_query_groups: PositiveInt = 1
    kv_channels: PositiveInt | None = None
    ffn_hidden_size: PositiveInt | None = None
    swiglu: bool = False
    squared_relu: bool = False
    vocab_size: PositiveInt | None = None
    """Tokens of the tokenizer, which are padded."""
    padded_vocab_size: PositiveInt | None = None
    make_vocab_size_divisible_by: PositiveInt = 128
    tensor_model_parallel_size: PositiveInt = 1
    seq_length: PositiveInt
    untie_embeddings_and_output_weights: bool = False
    normalization: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    apply_layernorm_1p: bool = False
    qk_layernorm: bool = False
    disable_bias_linear: bool = False
    add_qkv_bias: bool = False
    position_embedding_type: str = "learned_absolute"
    rotary_base: PositiveFloat = 10_000.0
    rotary_percent: float = Field(1.0, ge=0, le=1)
    use_rope_scaling: bool = False
    hidden_dropout: float = Field(0.1, ge=0)
    attention_dropout: float = Field(0.1, ge=0)
    num_experts: int | None = None
    multi_latent_attention: bool = False
    hybrid_override_pattern: str | None = None


class Megatron:
    """Reads arguments as one writes them behind `pretrain_gpt.py`, in a file of their own."""

    file_name = None

    def document(self, path: Path, text: str) -> dict[str, Any] | None:
        """Argument -> its value, or True for a flag; later ones count, as on a command line."""
        if not ARGUMENT.search(text):
            return None
        try:
            words = shlex.split(text.replace("\\\n", " "), comments=True)
        except ValueError as error:
            raise InputError(f"{path}: are no arguments: {error}") from None
        document: dict[str, Any] = {}
        name = None
        for word in words:
            if word.startswith("--"):
                name, _, value = word[2:].replace("_", "-").partition("=")
                document[name] = value or True
            elif name is not None:
                document[name] = word
        return document

    def read(self, document: dict[str, Any], where: object) -> Architecture:
        """The GPT that Megatron would build."""
        config = validate(Arguments, document, where)
        refuse(where, _refusals(config))
        values = {
            "d_model": config.hidden_size,
            "n_layers": config.num_layers,
            "n_heads": config.num_attention_heads,
            "n_kv_heads": config.num_query_groups if config.group_query_attention else None,
            "head_dim": config.kv_channels,
            "mlp": "swiglu" if config.swiglu else "gelu",
            "d_ff": config.ffn_hidden_size or _inner_width(config),
            "vocab_size": _rows(config, where),
            "seq_len": config.seq_length,
            "qk_norm": config.qk_layernorm,
            "tied": not config.untie_embeddings_and_output_weights,
        }
        given = {field: value for field, value in values.items() if value is not None}
        shape = shape_of(NAMES, given, where)
        return Architecture(shape=shape, not_modelled=(*_positions(config), *_rest(config, shape)))


def _inner_width(config: Arguments) -> int:
    """Four widths, or two thirds of that beside a gate, in multiples of 64."""
    if config.swiglu:
        return int(4 * config.hidden_size * 2 / 3 / 64) * 64
    return 4 * config.hidden_size


def _rows(config: Arguments, where: object) -> int:
    """Rows of the token table, padding included."""
    if config.padded_vocab_size is not None:
        return config.padded_vocab_size
    if config.vocab_size is None:
        raise InputError(
            f"{where}: vocab-size: is missing; add --vocab-size, the number of the tokenizer's "
            "tokens"
        )
    multiple = config.make_vocab_size_divisible_by * config.tensor_model_parallel_size
    return -(-config.vocab_size // multiple) * multiple


def _refusals(config: Arguments) -> list[str]:
    found = []
    if (config.num_experts or 0) > 1:
        found.append(
            f"is a mixture of {config.num_experts} experts, where a shape has one dense MLP"
        )
    if config.multi_latent_attention:
        found.append(
            "has latent attention (MLA): K and V come from one matrix, so there are no groups, "
            "and no K/V rule applies"
        )
    if config.hybrid_override_pattern is not None:
        found.append("is a hybrid: not all of its layers are attention and MLP")
    return found


def _positions(config: Arguments) -> list[NotModelled]:
    if config.position_embedding_type != "rope":
        return [features.other_positions(config.position_embedding_type)]
    found = features.rope_base(config.rotary_base)
    if config.rotary_percent != 1:
        found.append(features.partial_rope(config.rotary_percent))
    if config.use_rope_scaling:
        found.append(features.rope_scaling("use-rope-scaling", None))
    return found


def _rest(config: Arguments, shape: Shape) -> list[NotModelled]:
    mlp = ("gate", "up", "down") if config.swiglu else ("up", "down")
    linear = not config.disable_bias_linear
    biased = ("q", "k", "v") if linear or config.add_qkv_bias else ()
    found = [features.fused_qkv()]
    found += features.biases(shape, biased + (("o", *mlp) if linear else ()))
    if config.squared_relu:
        found.append(features.ungated("squared ReLU"))
    if config.normalization == "LayerNorm":
        found.append(features.layer_norm(shape))
    if config.apply_layernorm_1p:
        found.append(features.gains_from_zero())
    for field in ("hidden_dropout", "attention_dropout"):
        if (rate := getattr(config, field)) > 0:
            found.append(features.dropout(_as_argument(field), rate))
    return found
