"""The rule table: how every setting of every role scales from a base shape to another shape.

Every rule is a product of powers of seven ratios, so it is 1 at the base and composes by itself.

Notation (subscript 0: the base shape)
    m_in  fan_in / fan_in₀ of that very matrix
    m_d   d_model / d_model₀
    m_L   n_layers / n_layers₀
    m_h   head_dim / head_dim₀
    s     s(r) / s(r₀), where s(r) = (1 + √r) / 2 and r = n_heads / n_kv_heads
    r     r / r₀
    a     a(o, n) / a(o₀, n₀), where a(o, n) = min(1, √(o/n)), n fan-in and o fan-out of that
          very matrix (of K and V in repeated form, n_heads · head_dim)

eps of AdamW follows the RMS of the role's gradient, so that it matters as much at every shape. The
forward multipliers and fan-ins of the table give it: 1/m_d for tables and matrices and for the
final norm, 1/m_h for gains of head_dim numbers, m_L^−α behind a branch, and √r for K and V, whose
gradient is a sum over the r heads that share them.

Sources
    [TP5]  Yang et al., Tensor Programs V, arXiv 2203.03466, tables 3 and 8
    [CP]   Dey et al., CompleteP, arXiv 2505.01618, table 1
    [CdP]  Mlodozeniec et al., Complete(d)P, arXiv 2512.22382, table 1
    [GQA]  Chickering et al., GQA-μP, arXiv 2605.15290, and the table in the authors' report
    [SC]   Yang, Simon, Bernstein, A Spectral Condition, arXiv 2310.17813
    ours   derived above, and measured: tests/models/test_eps.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from proxytune.config.parameterization import KvRuleName, Parameterization


class Role(StrEnum):
    """What a parameter is to the rules: which row of the table it follows, with which fan-in."""

    EMBEDDING = "embedding"
    QUERY = "query"  # a hidden matrix that the attention multiplier acts behind
    HIDDEN = "hidden"  # MLP in and gate: fan-in d_model
    ATTENTION_OUT = "attention_out"  # a hidden matrix with fan-in n_heads · head_dim
    MLP_OUT = "mlp_out"  # a hidden matrix with fan-in d_ff
    KEY = "key"
    VALUE = "value"
    KV = "kv"  # K and V together: in one matrix, or named without a difference
    UNEMBEDDING = "unembedding"
    NORM = "norm"  # gains inside the blocks
    QK_NORM = "qk_norm"  # gains on queries and keys
    FINAL_NORM = "final_norm"


KV_ROLES = frozenset({Role.KEY, Role.VALUE, Role.KV})
"""Matrices that the repeat factor is about: one rule, but multipliers of their own."""
HIDDEN_ROLES = frozenset({Role.QUERY, Role.HIDDEN, Role.ATTENTION_OUT, Role.MLP_OUT}) | KV_ROLES
"""Matrices both sides of which grow with the width."""
GAIN_ROLES = frozenset({Role.NORM, Role.QK_NORM, Role.FINAL_NORM})
"""Vectors that start at 1."""


def reported_as(role: Role) -> tuple[Role, ...]:
    """Names that what is measured of a role goes by: K and V each, and both together as kv."""
    return (role, Role.KV) if role in (Role.KEY, Role.VALUE) else (role,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The seven ratios of the notation, for one role."""

    m_in: float
    m_d: float
    m_L: float
    m_h: float
    s: float
    r: float
    a: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """A product of powers of the seven ratios, by its exponents."""

    m_in: float = 0.0
    m_d: float = 0.0
    m_L: float = 0.0
    m_h: float = 0.0
    s: float = 0.0
    r: float = 0.0
    a: float = 0.0

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
        return in_writing(quantity, self.exponents())


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
    """The table of a parameterization and its options, in its version of the rules."""
    name = parameterization.name
    table = _standard(parameterization) if name == "sp" else _maximal_update(parameterization)
    if parameterization.rules_version == 1:
        return _as_in_version_1(table)
    return table


def _standard(p: Parameterization) -> RuleTable:
    """sp: PyTorch's habits. Only hidden inits follow the fan-in, and attention 1/√head_dim."""
    hidden = RoleRule(init_std=Powers(m_in=-0.5, a=_aspect(p)), source="fan-in init")
    roles = dict.fromkeys(Role, RoleRule(source="constant"))
    roles |= dict.fromkeys(HIDDEN_ROLES, hidden)
    roles[Role.EMBEDDING] = _embedding(p, eps=ONE, source="constant")
    return RuleTable(roles=roles, attention=Powers(m_h=-0.5), residual=ONE)


def _maximal_update(p: Parameterization) -> RuleTable:
    """mup, completep and gqa-mup: one table, in which the narrower ones leave columns out."""
    alpha = p.depth_alpha if p.name in ("completep", "gqa-mup") else None
    has_repeat = p.name == "gqa-mup"
    kv = KV_RULES[p.kv_rule if has_repeat else "none"]
    # Depth: lr m_L^(α−1), eps m_L^−α, residual m_L^−α [CP]; none of it under mup.
    block_lr, shrink = (alpha - 1, -alpha) if alpha is not None else (0.0, 0.0)
    block_eps = Powers(m_d=-1, m_L=shrink)
    hidden = RoleRule(
        init_std=Powers(m_in=-0.5, a=_aspect(p)),
        lr=Powers(m_in=-1, m_L=block_lr),
        weight_decay=Powers(m_in=p.wd_width_exponent),
        eps=block_eps,
        source="[CP] hidden",
    )
    key_value = RoleRule(
        init_std=Powers(m_in=-0.5, s=kv.init_s, a=_aspect(p)),
        lr=Powers(m_in=-1, m_L=block_lr, s=kv.lr_s, r=kv.lr_r),
        weight_decay=Powers(m_in=p.wd_width_exponent, s=-kv.lr_s, r=-kv.lr_r),
        # Whatever the K/V rule: gradients add up all the same, and rules differ in nothing else.
        eps=Powers(m_d=-1, m_L=shrink, r=0.5) if has_repeat else block_eps,
        source="[GQA] K and V, eps ours" if has_repeat else "[CP] hidden",
    )
    gain = RoleRule(lr=Powers(m_L=block_lr), eps=block_eps, source="[CP] LayerNorm")
    roles = {
        Role.EMBEDDING: _embedding(p, eps=Powers(m_d=-1), source="[CP] embedding, eps [CdP]"),
        Role.QUERY: hidden,
        Role.HIDDEN: hidden,
        Role.ATTENTION_OUT: hidden,
        Role.MLP_OUT: hidden,
        **dict.fromkeys(KV_ROLES, key_value),
        # [CdP] prints eps × 1 for a head without multiplier; behind one it takes that in.
        Role.UNEMBEDDING: RoleRule(
            multiplier=Powers(m_d=-1),
            eps=Powers(m_d=-1),
            source="[CP] unembedding, eps [CdP] behind the multiplier",
        ),
        Role.NORM: gain,
        Role.QK_NORM: RoleRule(
            lr=Powers(m_L=block_lr),
            eps=Powers(m_h=-1, m_L=shrink),
            source="[CP] LayerNorm, eps [CdP] with m_h ours",
        ),
        # [CdP] prints eps × 1 here; but the gradient comes through the unembedding's multiplier.
        Role.FINAL_NORM: RoleRule(
            eps=Powers(m_d=-1), source="[CP] final LayerNorm, eps ours (not [CdP])"
        ),
    }
    return RuleTable(roles=roles, attention=Powers(m_h=-1), residual=Powers(m_L=shrink))


def _embedding(p: Parameterization, eps: Powers, source: str) -> RoleRule:
    """The table's rate may follow the width; decay goes against it, where there is any."""
    power = p.embedding_lr_width_exponent
    return RoleRule(lr=Powers(m_d=power), weight_decay=Powers(m_d=-power), eps=eps, source=source)


def _aspect(p: Parameterization) -> float:
    """The exponent of a in hidden inits: 1 under [SC]'s condition."""
    return 1.0 if p.shape_init == "spectral" else 0.0


def _as_in_version_1(table: RuleTable) -> RuleTable:
    """What studies of version 1 were tuned with: four roles had another eps.

    In `projection.py`, decays did not follow the multipliers on learning rates, and tied tables
    never decayed.
    """
    old_eps = {
        Role.UNEMBEDDING: ONE,
        Role.FINAL_NORM: ONE,
        **dict.fromkeys((Role.QK_NORM, *KV_ROLES), table.roles[Role.NORM].eps),
    }
    old_decay = {Role.EMBEDDING: ONE}
    roles = {
        role: replace(
            rule,
            eps=old_eps.get(role, rule.eps),
            weight_decay=old_decay.get(role, rule.weight_decay),
        )
        for role, rule in table.roles.items()
    }
    return replace(table, roles=roles)


def in_writing(quantity: str, exponents: Sequence[tuple[str, float]]) -> str:
    """A quantity times powers of symbols, as a formula."""
    above = [_power(symbol, e) for symbol, e in exponents if e > 0]
    below = [_power(symbol, -e) for symbol, e in exponents if e < 0]
    denominator = "·".join(below) if len(below) < 2 else f"({'·'.join(below)})"
    return "·".join([quantity, *above]) + (f"/{denominator}" if below else "")


def _power(symbol: str, exponent: float) -> str:
    name = {"s": "s(r)"}.get(symbol, symbol)
    if exponent == 1:
        return name
    return f"√{name}" if exponent == 0.5 else f"{name}^{exponent:g}"
