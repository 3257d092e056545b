"""What a check run shows besides its verdict, each in one line."""

import math

from proxytune.transfer.check import CheckRun

CLIPPED_DIFFERENCE = 0.2
"""Shares of clipped steps that differ by more than this are worth a remark."""


def check_remarks(run: CheckRun) -> tuple[str, ...]:
    """Remarks on a check run; none of them fails it."""
    return (*_starts(run), *_clipping(run))


def _starts(run: CheckRun) -> list[str]:
    """The sides whose training starts far above the loss of a uniform guess."""
    found = []
    for name, side in run.sides().items():
        first, vocab_size = side.evaluations[0], side.shape.vocab_size
        if first.starts_high(vocab_size):
            found.append(
                f"the {name} starts at a loss of {first.first_loss:.1f}, far above the "
                f"{math.log(vocab_size):.1f} of a uniform guess: its logits are too large; tune "
                "with a smaller output_multiplier"
            )
    return found


def _clipping(run: CheckRun) -> list[str]:
    """Whether clipping acts on one side much more than on the other: clip_norm is not scaled."""
    proxy, target = run.proxy.clipped_share, run.target.clipped_share
    if proxy is None or target is None or abs(target - proxy) <= CLIPPED_DIFFERENCE:
        return []
    return [
        f"{target:.0%} of the target's steps were clipped, {proxy:.0%} of the proxy's: gradient "
        "norms change with the shape and clip_norm does not, so clipping acts differently on "
        "the two; tune with a clip_norm that is rarely reached, or with none (clip_norm: null)"
    ]
