"""A proxy on tokens of the target's own tokenizer, and what its token tables cost it."""

from proxytune.config.base import Spec
from proxytune.config.shape import Shape


class TargetTokens(Spec):
    """The suggested proxy with the target's vocabulary and length.

    Neither is a scaled dimension, so a proxy on other tokens, such as bytes, is one as well.
    """

    vocab_size: int
    """The target's."""
    seq_len: int
    """The target's."""
    parameters: int
    """Of the proxy with these."""
    table_parameters: int
    """Those of its embedding and unembedding."""
    flops_factor: float
    """FLOPs per token over those of the suggested proxy."""
    advice: str
    """In a sentence."""

    @classmethod
    def of(cls, proxy: Shape, target: Shape) -> "TargetTokens":
        """What a proxy would be on the target's tokens."""
        own = proxy.at(vocab_size=target.vocab_size, seq_len=target.seq_len)
        tables = own.vocab_size * own.d_model * (1 if own.tied else 2)
        parameters = own.count_parameters()
        factor = own.training_flops_per_token() / proxy.training_flops_per_token()
        hold = f"hold {100 * tables / parameters:.0f}% of the proxy's {parameters:.3g} parameters"
        changed = [
            f"{field} {getattr(own, field)}"
            for field in ("vocab_size", "seq_len")
            if getattr(own, field) != getattr(proxy, field)
        ]
        advice = (
            f"to tune on the target's own tokens, set {' and '.join(changed)}; the token tables "
            f"then {hold}, and a token costs {factor:.3g} times as many FLOPs as planned here"
            if changed
            else f"vocabulary and length are the target's; the token tables {hold}"
        )
        return cls(
            vocab_size=own.vocab_size,
            seq_len=own.seq_len,
            parameters=parameters,
            table_parameters=tables,
            flops_factor=factor,
            advice=advice,
        )
