"""Which role a parameter has, by its name in models of a widespread kind."""

from collections.abc import Mapping

from proxytune.scaling.rules import Role

RolePatterns = Mapping[str, Role | str]
"""Shell pattern of parameter names -> role. The first that matches counts."""

LLAMA: RolePatterns = {
    "*embed_tokens.*": Role.EMBEDDING,
    "*layers.*.self_attn.q_proj.*": Role.QUERY,
    "*layers.*.self_attn.k_proj.*": Role.KEY,
    "*layers.*.self_attn.v_proj.*": Role.VALUE,
    "*layers.*.self_attn.o_proj.*": Role.ATTENTION_OUT,
    "*layers.*.self_attn.q_norm.*": Role.QK_NORM,
    "*layers.*.self_attn.k_norm.*": Role.QK_NORM,
    "*layers.*.mlp.gate_proj.*": Role.HIDDEN,
    "*layers.*.mlp.up_proj.*": Role.HIDDEN,
    "*layers.*.mlp.down_proj.*": Role.MLP_OUT,
    "*layers.*layernorm.*": Role.NORM,
    "*norm.weight": Role.FINAL_NORM,
    "lm_head.*": Role.UNEMBEDDING,
}
"""Hugging Face's Llama and the classes that name their parameters alike."""
