"""What a Llama's parameters are called in the built-in decoder: weights are drawn by name."""

import re

from proxytune.errors import InputError

_MODULES = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.out",
    "mlp.gate_proj": "mlp.gate",
    "mlp.up_proj": "mlp.inner",
    "mlp.down_proj": "mlp.out",
}
_MATRIX = re.compile(rf"layers\.(\d+)\.({'|'.join(map(re.escape, _MODULES))})\.weight$")


def built_in_name(name: str) -> str:
    """The same matrix or table in the built-in decoder.

    Raises InputError for a name that is not Llama's.
    """
    if name.endswith("embed_tokens.weight"):
        return "embedding.weight_KxVxD"
    if name.endswith("lm_head.weight"):
        return "unembedding.weight_KxOxI"
    matrix = _MATRIX.search(name)
    if matrix is None:
        raise InputError(
            f"as_built_in = True: {name} is not named as in Llama, so it is not known which "
            "parameter of the built-in decoder it is"
        )
    block, module = matrix.groups()
    return f"blocks.{block}.{_MODULES[module]}.weight_KxOxI"
