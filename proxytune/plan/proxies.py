"""Proxies of a few sizes, derived from a target: narrower and shallower, otherwise alike."""

from proxytune.config.experiment import BYTES_VOCABULARY
from proxytune.config.shape import Shape
from proxytune.errors import InputError

NARROWEST, WIDEST = 32, 1024
"""d_model of proxies."""
SMALLEST_HEAD = 16
"""head_dim of proxies, where the target's is not smaller."""
FEWEST_HEADS = 4
"""Heads of proxies, where heads can be small enough."""
ROUND_TO = 8
"""d_ff is a multiple of this, which GPUs want."""
MOST_PROXIES = 5


def proxies(
    target: Shape, n_layers: int, seq_len: int, vocab_size: int = BYTES_VOCABULARY
) -> list[Shape]:
    """Shapes at about a half, a quarter, … of the target's width, ascending.

    The style, the ratios of q_dim and d_ff to d_model, and where it divides the repeat factor are
    the target's; heads get smaller where there would be too few of them. Widths are exactly
    halves if that leaves whole groups of heads, else heads are rounded, and the width follows. The
    vocabulary is that of the data, since it is no scaled dimension. Raises InputError where no
    proxy is smaller than the target.
    """
    widths = [target.d_model // 2**k for k in range(1, target.d_model.bit_length())]
    shapes = [
        _at_width(target, width, n_layers, seq_len, vocab_size)
        for width in widths
        if NARROWEST <= width <= WIDEST
    ]
    by_width = {shape.d_model: shape for shape in shapes if shape.d_model < target.d_model}
    if not by_width:
        raise InputError.of_field(
            "shape.d_model",
            target.d_model,
            f"no proxy is smaller: they begin at d_model = {NARROWEST}, half of a target's",
        )
    return list(by_width.values())[:MOST_PROXIES][::-1]


def _at_width(target: Shape, width: int, n_layers: int, seq_len: int, vocab_size: int) -> Shape:
    n_heads, head_dim = _heads(target, width)
    d_model = round(n_heads * head_dim * target.d_model / target.q_dim)
    repeat = max(r for r in range(1, n_heads + 1) if n_heads % r == 0 and r <= target.repeat)
    return target.at(
        d_model=d_model,
        n_layers=min(n_layers, target.n_layers),
        n_heads=n_heads,
        n_kv_heads=n_heads // repeat,
        head_dim=head_dim,
        d_ff=max(1, round(target.d_ff * d_model / target.d_model / ROUND_TO)) * ROUND_TO,
        vocab_size=vocab_size,
        seq_len=min(seq_len, target.seq_len),
    )


def _heads(target: Shape, width: int) -> tuple[int, int]:
    """Number and size of heads at about this width."""
    smallest = min(SMALLEST_HEAD, target.head_dim)
    halves = [2 * round(target.head_dim / 2 ** (k + 1)) for k in range(target.head_dim)]
    sizes = [size for size in dict.fromkeys(halves) if size >= smallest]
    q_dim = target.q_dim * width / target.d_model
    whole = [size for size in sizes if q_dim % (size * target.repeat) == 0]
    if whole:
        # The largest that leaves some heads, or else the smallest.
        some = [size for size in whole if q_dim // size >= FEWEST_HEADS]
        size = next(iter(some or whole[-1:]))
        return int(q_dim) // size, size
    # Such as 71 heads, or 5 at repeat factor 4.
    size = next((size for size in sizes if round(q_dim / size) >= FEWEST_HEADS), sizes[-1])
    n_heads = max(1, round(q_dim / size))
    if n_heads > target.repeat:
        n_heads = round(n_heads / target.repeat) * target.repeat
    return n_heads, size
