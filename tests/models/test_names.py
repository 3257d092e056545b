"""Which matrix of the built-in decoder is which of Llama's."""

import pytest

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.models.names import built_in_name
from proxytune.models.parametrize import empty_model
from proxytune.scaling.folding import plain_forward

MATRICES = [
    *(f"self_attn.{side}_proj" for side in "qkvo"),
    *(f"mlp.{side}_proj" for side in ("gate", "up", "down")),
]


def test_every_matrix_of_a_llama_is_one_of_the_built_in_decoder(shape: Shape) -> None:
    blocks = [f"model.layers.{i}.{m}.weight" for i in range(shape.n_layers) for m in MATRICES]
    llama = ["model.embed_tokens.weight", *blocks, "lm_head.weight"]
    own = [name for name, _ in empty_model(shape, [plain_forward(shape)]).named_parameters()]
    assert sorted(map(built_in_name, llama)) == sorted(n for n in own if "weight" in n)


def test_another_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"transformer\.h\.0\.attn\.c_attn\.weight"):
        built_in_name("transformer.h.0.attn.c_attn.weight")
