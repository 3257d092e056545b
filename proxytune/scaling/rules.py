"""The rule table: how every setting of every role scales from a base shape to another shape.

Every rule is a product of powers of six ratios, so it is 1 at the base and composes by itself.

Notation (subscript 0: the base shape)
    m_in  fan_in / fan_in₀ of that very matrix
    m_d   d_model / d_model₀
    m_L   n_layers / n_layers₀
    m_h   head_dim / head_dim₀
    s     s(r) / s(r₀), where s(r) = (1 + √r) / 2 and r = n_heads / n_kv_heads
    r     r / r₀

Sources
    [TP5]  Yang et al., Tensor Programs V, arXiv 2203.03466, tables 3 and 8
    [CP]   Dey et al., CompleteP, arXiv 2505.01618, table 1
    [CdP]  Mlodozeniec et al., Complete(d)P, arXiv 2512.22382, table 1
    [GQA]  Chickering et al., GQA-μP, arXiv 2605.15290, and the table in the authors' report
"""

from dataclasses import dataclass, fields
from enum import StrEnum

from proxytune.config.parameterization import KvRuleName, Parameterization


class Role(StrEnum):
    """What a parameter is to the rules: which row of the table it follows, with which fan-in."""

    EMBEDDING = "embedding"
    QUERY = "query"  # a hidden matrix that the attention multiplier acts behind
    HIDDEN = "hidden"  # MLP in and gate: fan-in d_model
    ATTENTION_OUT = "attention_out"  # a hidden matrix with fan-in n_heads · head_dim
    MLP_OUT = "mlp_out"  # a hidden matrix with fan-in d_ff
    KV = "kv"
    UNEMBEDDING = "unembedding"
    NORM = "norm"  # gains inside the blocks
    QK_NORM = "qk_norm"  # gains on queries and keys
    FINAL_NORM = "final_norm"


HIDDEN_ROLES = frozenset(
    {Role.QUERY, Role.HIDDEN, Role.ATTENTION_OUT, Role.MLP_OUT, Role.KV},
)
"""Matrices both sides of which grow with the width."""
GAIN_ROLES = frozenset({Role.NORM, Role.QK_NORM, Role.FINAL_NORM})
"""Vectors that start at 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The six ratios of the notation, for one role."""

    m_in: float
    m_d: float
    m_L: float
    m_h: float
    s: float
    r: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """m_in^a · m_d^b · m_L^c · m_h^e · s^f · r^g, by its exponents."""

    m_in: float = 0.0
    m_d: float = 0.0
    m_L: float = 0.0
    m_h: float = 0.0
    s: float = 0.0
    r: float = 0.0

    def at(self, ratios: Ratios) -> float:
        """The product's value."""
        value = 1.0
        for symbol, exponent in self.exponents():
            value *= getattr(ratios, symbol) ** exponent
        return value

    def exponents(self) -> list[tuple[str, float]]:
        """Symbols that take part, with their exponents."""
        pairs = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(symbol, exponent) for symbol, exponent in pairs if exponent]

    def formula(self, quantity: str) -> str:
        """The rule in writing, for instance η·s/m_in."""
        above = [_power(symbol, e) for symbol, e in self.exponents() if e > 0]
        below = [_power(symbol, -e) for symbol, e in self.exponents() if e < 0]
        denominator = "·".join(below) if len(below) < 2 else f"({'·'.join(below)})"
        return "·".join([quantity, *above]) + (f"/{denominator}" if below else "")


ONE = Powers()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRule:
    """One row of the table."""

    init_std: Powers = ONE
    lr: Powers = ONE
    weight_decay: Powers = ONE
    eps: Powers = ONE
    multiplier: Powers = ONE
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """The rules of one parameterization."""

    roles: dict[Role, RoleRule]
    attention: Powers
    """On the attention logits."""
    residual: Powers
    """On every residual branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvRule:
    """How K/V init and learning rate follow the repeat factor."""

    init_s: float = 0.0
    lr_s: float = 0.0
    lr_r: float = 0.0


KV_RULES: dict[KvRuleName, KvRule] = {
    "paper": KvRule(lr_s=1.0),  # [GQA]: init 1, lr (1 + √r)/2
    "spectral": KvRule(init_s=-1.0, lr_r=-0.5),  # the authors' ablation: init 2/(1 + √r), lr 1/√r
    "none": KvRule(),  # the control: K/V treated as hidden
}


def rule_table(parameterization: Parameterization) -> RuleTable:
    """The table of a parameterization and its options."""
    if parameterization.name == "sp":
        return _standard()
    return _maximal_update(parameterization)


def _standard() -> RuleTable:
    """sp: PyTorch's habits. Only hidden inits follow the fan-in, and attention 1/√head_dim."""
    hidden = RoleRule(init_std=Powers(m_in=-0.5), source="fan-in init")
    constant = RoleRule(source="constant")
    return RuleTable(
        roles={role: hidden if role in HIDDEN_ROLES else constant for role in Role},
        attention=Powers(m_h=-0.5),
        residual=ONE,
    )


def _maximal_update(p: Parameterization) -> RuleTable:
    """mup, completep and gqa-mup: one table, in which the narrower ones leave columns out."""
    alpha = p.depth_alpha if p.name in ("completep", "gqa-mup") else None
    kv = KV_RULES[p.kv_rule if p.name == "gqa-mup" else "none"]
    # Depth: lr m_L^(α−1), eps m_L^−α, residual m_L^−α [CP]; none of it under mup.
    block_lr, shrink = (alpha - 1, -alpha) if alpha is not None else (0.0, 0.0)
    block_eps = Powers(m_d=-1, m_L=shrink)
    hidden = RoleRule(
        init_std=Powers(m_in=-0.5),
        lr=Powers(m_in=-1, m_L=block_lr),
        weight_decay=Powers(m_in=p.wd_width_exponent),
        eps=block_eps,
        source="[CP] hidden",
    )
    gain = RoleRule(lr=Powers(m_L=block_lr), eps=block_eps, source="[CP] LayerNorm")
    roles = {
        Role.EMBEDDING: RoleRule(
            lr=Powers(m_d=p.embedding_lr_width_exponent),
            eps=Powers(m_d=-1),
            source="[CP] embedding, eps [CdP]",
        ),
        Role.QUERY: hidden,
        Role.HIDDEN: hidden,
        Role.ATTENTION_OUT: hidden,
        Role.MLP_OUT: hidden,
        Role.KV: RoleRule(
            init_std=Powers(m_in=-0.5, s=kv.init_s),
            lr=Powers(m_in=-1, m_L=block_lr, s=kv.lr_s, r=kv.lr_r),
            weight_decay=Powers(m_in=p.wd_width_exponent, s=-kv.lr_s, r=-kv.lr_r),
            eps=block_eps,
            source="[GQA] K and V" if p.name == "gqa-mup" else "[CP] hidden",
        ),
        Role.UNEMBEDDING: RoleRule(multiplier=Powers(m_d=-1), source="[CP] unembedding"),
        Role.NORM: gain,
        Role.QK_NORM: gain,
        Role.FINAL_NORM: RoleRule(source="[CP] final LayerNorm"),
    }
    return RuleTable(roles=roles, attention=Powers(m_h=-1), residual=Powers(m_L=shrink))


def _power(symbol: str, exponent: float) -> str:
    name = {"s": "s(r)"}.get(symbol, symbol)
    if exponent == 1:
        return name
    return f"√{name}" if exponent == 0.5 else f"{name}^{exponent:g}"
