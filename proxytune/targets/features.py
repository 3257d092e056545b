"""What models have that neither the rules nor a proxy represent, each told in a sentence.

Where a feature has parameters of its own, or fewer than the shape has, their number goes along:
the shape's parameters and those of its features add up to the model's.
"""

from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled

PROXY_ROPE_BASE = 10_000.0
"""RoPE's base in proxies."""


def rope_base(base: float) -> list[NotModelled]:
    """Another base than that of proxies."""
    if base == PROXY_ROPE_BASE:
        return []
    told = f"RoPE has base {base:g}; a proxy rotates with base {PROXY_ROPE_BASE:g}"
    return [NotModelled(what=told)]


def rope_scaling(kind: str, length: int | None) -> NotModelled:
    """Positions scaled to reach further than the `length` of first training, if that is known."""
    beyond = "" if length is None else f" to reach beyond {length} tokens"
    return NotModelled(what=f"RoPE is scaled ({kind}){beyond}; a proxy's is not")


def partial_rope(share: float) -> NotModelled:
    """Heads of which a part is not rotated."""
    return NotModelled(
        what=f"RoPE rotates {100 * share:g}% of each head; in a proxy it rotates all of it"
    )


def without_rope(layers: int, of: int) -> NotModelled:
    """Layers without positions."""
    return NotModelled(what=f"{layers} of {of} layers have no RoPE; in a proxy all have")


def window(tokens: int, layers: int, of: int) -> NotModelled:
    """Attention that does not reach the start of the sequence."""
    return NotModelled(
        what=f"in {layers} of {of} layers, attention sees only the last {tokens} tokens; in a "
        "proxy it sees all"
    )


def biases(shape: Shape, matrices: tuple[str, ...]) -> list[NotModelled]:
    """Biases on the named matrices: q, k, v, o, gate, up, down and the output head."""
    if not matrices:
        return []
    sizes = {"q": shape.q_dim, "k": shape.kv_dim, "v": shape.kv_dim, "o": shape.d_model}
    sizes |= {"gate": shape.d_ff, "up": shape.d_ff, "down": shape.d_model}
    in_blocks = sum(sizes[name] for name in matrices if name != "head") * shape.n_layers
    on_head = shape.vocab_size if "head" in matrices else 0
    told = f"biases on {', '.join(matrices)}; a proxy has none"
    return [NotModelled(what=told, parameters=in_blocks + on_head)]


def activation(name: str) -> NotModelled:
    """A gated MLP whose gate is not SiLU."""
    return NotModelled(what=f"the MLP's gate is {name}; in a proxy it is SiLU (SwiGLU)")


def ungated(name: str) -> NotModelled:
    """An MLP without a gate that is not GELU."""
    return NotModelled(what=f"the MLP is {name}; in a proxy it is GELU")


def parallel_branches() -> NotModelled:
    """Attention and MLP beside each other."""
    return NotModelled(what="attention and MLP of a block are in parallel; a proxy's in sequence")


def other_positions(kind: str) -> NotModelled:
    """Positions that are not rotated; a table of them is not counted."""
    return NotModelled(what=f"positions are {kind}; a proxy's are RoPE")


def qk_norm_over_heads(shape: Shape) -> NotModelled:
    """QK-norm with one RMS for all heads of a token, and a gain for each of their dimensions."""
    gains = shape.q_dim + shape.kv_dim - 2 * shape.head_dim
    return NotModelled(
        what="QK-norm is over all heads together; in a proxy it is over each head",
        parameters=gains * shape.n_layers,
    )


def norms_after_branches() -> NotModelled:
    """The norms of a block moved from its branches' inputs to their outputs."""
    return NotModelled(
        what="norms are on the outputs of attention and MLP; in a proxy they are on the inputs"
    )


def further_norms(shape: Shape) -> NotModelled:
    """Norms on the outputs of both branches, besides those on their inputs."""
    return NotModelled(
        what="norms on the outputs of attention and MLP, besides those on the inputs that a "
        "proxy has",
        parameters=2 * shape.d_model * shape.n_layers,
    )


def layer_norm(shape: Shape) -> NotModelled:
    """LayerNorm in place of RMSNorm."""
    of_heads = 2 * shape.n_layers * shape.head_dim if shape.qk_norm else 0
    return NotModelled(
        what="norms are LayerNorm; a proxy's are RMSNorm, without mean and bias",
        parameters=(2 * shape.n_layers + 1) * shape.d_model + of_heads,
    )


def gains_from_zero() -> NotModelled:
    """Gains stored as what is added to 1."""
    return NotModelled(
        what="norms multiply by 1 + w, and w starts at 0; a proxy's multiply by w, from 1 on"
    )


def scaled_embedding(factor: float) -> NotModelled:
    """A constant on the embedding's output."""
    return NotModelled(
        what=f"its code multiplies embeddings by √d_model = {factor:.4g}, besides the projected "
        "embedding multiplier; divide that by it, or take it out"
    )


def attention_scale(scalar: float) -> NotModelled:
    """q·k divided by another root than head_dim's."""
    return NotModelled(
        what=f"its code divides q·k by √{scalar:g}, in place of the projected attention multiplier"
    )


def softcap(of: str, cap: float) -> NotModelled:
    """A tanh that bounds scores or logits."""
    return NotModelled(what=f"{of} are capped at ±{cap:g} by tanh; a proxy's are not")


def dropout(field: str, rate: float) -> NotModelled:
    """Any dropout."""
    return NotModelled(what=f"{field} = {rate:g}: a proxy trains without dropout")


def fused_qkv() -> NotModelled:
    """Q, K and V in one parameter."""
    return NotModelled(
        what="its class holds q, k and v in one matrix, so K and V cannot train by settings of "
        "their own; split it, or tune with kv_rule: none"
    )


def own_multipliers(fields: str) -> NotModelled:
    """A family's own μP constants."""
    return NotModelled(what=f"the values of {fields}; the projection's take their place")


def beside_text(parts: str) -> NotModelled:
    """Towers for other media."""
    return NotModelled(what=f"{parts}: only the language model is read")
