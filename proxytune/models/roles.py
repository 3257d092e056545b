"""Which role every parameter of a model has: read off its name, and checked against its shape.

Nothing is attached to tensors, so what wraps a model (DDP, FSDP2, torch.compile) does not matter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.models.portable import first_match, unwrapped
from proxytune.scaling.names import LLAMA, RolePatterns
from proxytune.scaling.projection import fan_in
from proxytune.scaling.rules import GAIN_ROLES, HIDDEN_ROLES, KV_ROLES, Role

OWN: RolePatterns = {
    "embedding.*": Role.EMBEDDING,
    "blocks.*.attention.query.*": Role.QUERY,
    "blocks.*.attention.key.*": Role.KEY,
    "blocks.*.attention.value.*": Role.VALUE,
    "blocks.*.attention.out.*": Role.ATTENTION_OUT,
    "blocks.*.attention.query_norm.*": Role.QK_NORM,
    "blocks.*.attention.key_norm.*": Role.QK_NORM,
    "blocks.*.mlp.gate.*": Role.HIDDEN,
    "blocks.*.mlp.inner.*": Role.HIDDEN,
    "blocks.*.mlp.out.*": Role.MLP_OUT,
    "blocks.*_norm.*": Role.NORM,
    "final_norm.*": Role.FINAL_NORM,
    "unembedding.*": Role.UNEMBEDDING,
}
"""proxytune's own transformer."""

_CLASSES: Mapping[str, RolePatterns] = {"PackedTransformer": OWN} | dict.fromkeys(
    ("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3", "Granite"), LLAMA
)
"""Beginnings of class names whose patterns are known. Others may name alike and mean another
thing: a gain that starts at 0, an embedding with a multiplier of its own."""

_FUSED = re.compile(r"qkv|query_key_value|c_attn|in_proj_weight", re.IGNORECASE)
_LISTED = 8
"""Names in one message."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its role."""

    name: str
    """Without the components that wrappers add."""
    tensor: nn.Parameter
    role: Role
    """Of the matrix or gain; a bias has that of what it is added behind."""
    bias: bool

    @property
    def row(self) -> Role:
        """The row of the rule table it follows: a bias follows the norm gains beside it."""
        if not self.bias or self.role in GAIN_ROLES:
            return self.role
        return Role.FINAL_NORM if self.role is Role.UNEMBEDDING else Role.NORM


def parameters(model: nn.Module, patterns: RolePatterns | None = None) -> list[Parameter]:
    """Every parameter once, with its role; a tied one as what it is named for first.

    `patterns` names the roles of a model that is neither proxytune's nor one of the Hugging Face
    classes. Raises InputError that lists parameters without a role and patterns without a
    parameter.
    """
    named = {unwrapped(name): tensor for name, tensor in model.named_parameters()}
    table = _known_patterns(model) if patterns is None else patterns
    matched = {name: first_match(name, table) for name in named}
    without = [name for name, pattern in matched.items() if pattern is None]
    if without:
        raise InputError(
            f"patterns: no role for {_listed(without)}; give each a pattern and one of the roles "
            f"{', '.join(Role)}"
        )
    unused = [p for p in table if p not in matched.values()] if patterns is not None else []
    if unused:
        raise InputError(
            f"patterns: {_listed(unused)} match no parameter; there are {_listed(list(named))}"
        )
    return [
        _parameter(name, tensor, table[pattern])
        for (name, tensor), pattern in zip(named.items(), matched.values(), strict=True)
        if pattern is not None
    ]


def require_shape(params: list[Parameter], shape: Shape, *, fused_allowed: bool) -> None:
    """Refuses a model that is not of this shape, by the sizes of its matrices.

    With `fused_allowed`, a matrix that holds Q, K and V together may pass as hidden. Raises
    InputError that lists what does not fit.
    """
    fused = [p.name for p in params if _is_fused(p, shape)]
    if fused and not fused_allowed:
        raise InputError(
            f"{_listed(fused)}: holds Q, K and V in one matrix, so K and V cannot have the "
            "learning rate and decay that their rule gives them; split it into three, or choose a "
            "parameterization without a K/V rule (completep, or kv_rule: none)"
        )
    wrong = [
        f"{p.name} {tuple(p.tensor.shape)} is no {p.role} matrix with {_sizes(p.role, shape)}"
        for p in params
        if p.name not in fused and not _fits(p, shape)
    ]
    if wrong:
        raise InputError(f"target: the model has another shape: {_listed(wrong)}")
    blocks = sum(p.role is Role.ATTENTION_OUT and not p.bias for p in params)
    if blocks not in (0, shape.n_layers):
        raise InputError.of_field("target.n_layers", shape.n_layers, f"the model has {blocks}")
    roles = {p.role for p in params}
    if shape.tied == (Role.UNEMBEDDING in roles):
        has, said = ("none", "false") if Role.UNEMBEDDING not in roles else ("one", "true")
        raise InputError(f"target.tied = {said}: but the model has {has} unembedding of its own")


def _known_patterns(model: nn.Module) -> RolePatterns:
    """The built-in patterns of the model's class, or of the class inside what wraps it."""
    for module in model.modules():
        for beginning, patterns in _CLASSES.items():
            # FSDP2 makes a class of its own of each that it shards.
            if type(module).__name__.removeprefix("FSDP").startswith(beginning):
                return patterns
    raise InputError(
        f"patterns: needed, since the roles in a {type(model).__name__} are not known; give "
        "{name pattern: role}, or proxytune.LLAMA if it names its parameters as Llama does"
    )


def _parameter(name: str, tensor: nn.Parameter, role: Role | str) -> Parameter:
    try:
        of_table = Role(role)
    except ValueError:
        raise InputError.of_field(
            "patterns", str(role), f"is no role; there are {', '.join(Role)}"
        ) from None
    bias = name.rpartition(".")[2].endswith("bias")
    return Parameter(name, tensor, of_table, bias)


def _is_fused(param: Parameter, shape: Shape) -> bool:
    """Whether Q, K and V are one matrix, by its name or its rows."""
    if param.bias or param.role not in HIDDEN_ROLES:
        return False
    rows = param.tensor.shape[-2]
    together = shape.q_dim + 2 * shape.kv_dim
    by_size = rows == together and rows not in (shape.q_dim, shape.d_ff, 2 * shape.d_ff)
    return by_size or _FUSED.search(param.name) is not None


def _fits(param: Parameter, shape: Shape) -> bool:
    """Whether fan-in, and for K and V the rows, are those of the shape."""
    if param.bias or param.role in GAIN_ROLES:
        return True
    rows, columns = param.tensor.shape[-2:]
    both = param.role is Role.KV and rows == 2 * shape.kv_dim
    if param.role in KV_ROLES and rows != shape.kv_dim and not both:
        return False
    return columns == fan_in(shape, param.role)


def _sizes(role: Role, shape: Shape) -> str:
    rows = f"{shape.kv_dim} rows and " if role in KV_ROLES else ""
    return f"{rows}{fan_in(shape, role)} columns"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
