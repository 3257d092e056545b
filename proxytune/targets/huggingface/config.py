"""The fields of a config.json that a shape, or what is not modelled, is made of."""

from typing import Any, Self

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from proxytune.config.base import Spec


class Rope(Spec):
    """RoPE's fields, as `rope_parameters` holds them."""

    model_config = ConfigDict(extra="ignore")

    rope_theta: PositiveFloat
    """Its base."""
    rope_type: str = "default"
    """How positions are scaled; default: not at all."""
    original_max_position_embeddings: PositiveInt | None = None
    """Length before scaling."""
    partial_rotary_factor: PositiveFloat = 1.0
    """Share of a head that is rotated."""

    @classmethod
    def fields_in(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Where transformers 5 has rope_parameters, 4 had rope_scaling and fields at the top.

        A model with windows may have parameters by kind of layer; those of full attention count.
        """
        given = document.get("rope_parameters") or document.get("rope_scaling") or {}
        if isinstance(given, dict):
            given = given.get("full_attention", given) or {}
        if not isinstance(given, dict):
            return {"rope_type": given}
        # Its name in files of 2023.
        kind = {"rope_type": given["type"]} if "type" in given else {}
        top = {name: document[name] for name in cls.model_fields if document.get(name)}
        return top | kind | {name: value for name, value in given.items() if value is not None}


class Config(Spec):
    """A decoder's config.json, with the defaults of its family. What is not named is ignored."""

    model_config = ConfigDict(extra="ignore")

    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt | None
    """null: as many as query heads."""
    head_dim: PositiveInt | None = None
    """null: hidden_size / num_attention_heads."""
    intermediate_size: PositiveInt
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    tie_word_embeddings: bool
    hidden_act: str
    hidden_activation: str | None = None
    """Gemma's name for hidden_act; where it is given, it counts."""
    rope: Rope

    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: PositiveInt | None = None
    use_sliding_window: bool = True
    """Without it, sliding_window means nothing."""
    max_window_layers: int = 0
    """The first layers, which see all tokens."""
    sliding_window_pattern: PositiveInt | None = None
    layer_types: tuple[str, ...] | None = None
    no_rope_layer_interval: PositiveInt | None = None
    no_rope_layers: tuple[int, ...] | None = None
    """By layer, 1 for RoPE and 0 for none, in spite of its name."""
    use_post_norm: bool = False
    attn_logit_softcapping: PositiveFloat | None = None
    final_logit_softcapping: PositiveFloat | None = None
    query_pre_attn_scalar: PositiveFloat | None = None
    attention_dropout: float = Field(0.0, ge=0)
    embd_pdrop: float = Field(0.0, ge=0)
    resid_pdrop: float = Field(0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _with_rope(cls, document: dict[str, Any]) -> dict[str, Any]:
        return document | {"rope": Rope.fields_in(document)}

    @model_validator(mode="after")
    def _by_layer(self) -> Self:
        for name in ("layer_types", "no_rope_layers"):
            of_layers = getattr(self, name)
            if of_layers is not None and len(of_layers) < self.num_hidden_layers:
                raise ValueError(f"{name} names fewer layers than num_hidden_layers")
        return self

    @property
    def length(self) -> int:
        """Tokens of a sequence in pre-training, before positions were scaled."""
        original = self.rope.original_max_position_embeddings
        if original is None or self.rope.rope_type == "default":
            return self.max_position_embeddings
        return min(original, self.max_position_embeddings)

    def windowed_layers(self, full_every: int) -> int:
        """How many layers see only a window of the sequence; see `Family.full_every`."""
        layers = range(self.num_hidden_layers)
        if not self.sliding_window or not self.use_sliding_window:
            return 0
        if self.layer_types is not None:
            return self.layer_types[: len(layers)].count("sliding_attention")
        if self.no_rope_layer_interval is not None:
            return self.layers_without_rope()
        every = self.sliding_window_pattern or full_every
        return sum(
            i >= self.max_window_layers and not (every and (i + 1) % every == 0) for i in layers
        )

    def layers_without_rope(self) -> int:
        """How many layers have no positions."""
        if self.no_rope_layers is not None:
            return self.no_rope_layers[: self.num_hidden_layers].count(0)
        every = self.no_rope_layer_interval
        return self.num_hidden_layers // every if every else 0
