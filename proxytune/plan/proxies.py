"""Proxies of a few sizes, derived from a target: narrower and shallower, otherwise alike."""

import math

from proxytune.config.experiment import BYTES_VOCABULARY
from proxytune.config.shape import Shape
from proxytune.errors import InputError

NARROWEST, WIDEST = 32, 1024
"""d_model of proxies."""
SMALLEST_HEAD = 16
"""head_dim of proxies, where the target's is not smaller."""
ROUND_TO = 8
"""d_ff is a multiple of this, which GPUs want."""
MOST_PROXIES = 5


def proxies(target: Shape, n_layers: int, seq_len: int) -> list[Shape]:
    """Shapes at halves, quarters, … of the target's width, ascending.

    The style, the ratios of q_dim and d_ff to d_model, and where it divides the repeat factor are
    the target's; heads get smaller where there would be too few of them. The vocabulary is that of
    the data, 256 bytes, since it is no scaled dimension. Raises InputError where no proxy is
    smaller than the target.
    """
    widths = [target.d_model // 2**k for k in range(1, target.d_model.bit_length())]
    found = [
        shape
        for width in widths
        if NARROWEST <= width <= WIDEST
        and (shape := _at_width(target, width, n_layers, seq_len)) is not None
    ]
    if not found:
        raise InputError.of_field(
            "shape.d_model",
            target.d_model,
            f"no proxy is smaller: they begin at d_model = {NARROWEST}, half of a target's",
        )
    return found[:MOST_PROXIES][::-1]


def _at_width(target: Shape, width: int, n_layers: int, seq_len: int) -> Shape | None:
    """None where the target's ratios leave no whole heads."""
    q_dim, rest = divmod(target.q_dim * width, target.d_model)
    smallest = min(SMALLEST_HEAD, target.head_dim)
    sizes = [target.head_dim // 2**k for k in range(target.head_dim.bit_length())]
    sizes = [d for d in sizes if d >= smallest and not d % 2 and not q_dim % d]
    if rest or not sizes:
        return None
    # The largest head with which the repeat factor stays, or else the smallest.
    head_dim = next((d for d in sizes if q_dim // d % target.repeat == 0), sizes[-1])
    n_heads = q_dim // head_dim
    return target.at(
        d_model=width,
        n_layers=min(n_layers, target.n_layers),
        n_heads=n_heads,
        n_kv_heads=n_heads // math.gcd(n_heads, target.repeat),
        head_dim=head_dim,
        d_ff=max(1, round(target.d_ff * width / target.d_model / ROUND_TO)) * ROUND_TO,
        vocab_size=BYTES_VOCABULARY,
        seq_len=min(seq_len, target.seq_len),
    )
