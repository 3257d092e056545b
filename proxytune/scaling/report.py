"""Settings, or multipliers on those of a base, by role, with the rule behind each number."""

from proxytune.config.base import Report, Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.projection import Forward, Projection, Settings, multipliers, project
from proxytune.scaling.rules import Role, RoleRule, rule_table


class RoleFormulas(Spec):
    """Each setting of a role as a formula, such as `σ/√m_in`."""

    init_std: str
    """From σ, the base's init_std."""
    lr: str
    """From η, the base's learning rate."""
    weight_decay: str
    """From λ, the base's weight decay."""
    eps: str
    """From ε, the base's eps."""
    multiplier: str
    """From α, the base's forward multiplier."""
    source: str
    """The table row, by its paper."""

    @classmethod
    def of(cls, rule: RoleRule) -> "RoleFormulas":
        """The formulas of a row of the rule table."""
        return cls(
            init_std=rule.init_std.formula("σ"),
            lr=rule.lr.formula("η"),
            weight_decay=rule.weight_decay.formula("λ"),
            eps=rule.eps.formula("ε"),
            multiplier=rule.multiplier.formula("α"),
            source=rule.source,
        )


class ForwardFormulas(Spec):
    """The four forward multipliers as formulas."""

    embedding: str
    """On the embedding's output."""
    attention: str
    """On q·k."""
    residual: str
    """On the output of every attention and MLP branch."""
    logits: str
    """On the logits."""


class Formulas(Spec):
    """The rule behind each number."""

    roles: dict[Role, RoleFormulas]
    """By role."""
    forward: ForwardFormulas
    """Of the forward multipliers."""

    @classmethod
    def of(cls, projection: Projection, parameterization: Parameterization) -> "Formulas":
        """The rules behind a projection, or behind multipliers."""
        table = rule_table(parameterization)
        return cls(
            roles={role: RoleFormulas.of(table.roles[role]) for role in projection.roles},
            forward=ForwardFormulas(
                embedding=table.roles[Role.EMBEDDING].multiplier.formula("α_emb"),
                attention=table.attention.formula("α_attn/√head_dim₀"),
                residual=table.residual.formula("α_res"),
                logits=table.roles[Role.UNEMBEDDING].multiplier.formula("α_out"),
            ),
        )


class ScalingReport(Report):
    """What the rules make of a base at a target: settings, or multipliers on them."""

    base: Shape
    """The shape at which every multiplier is 1."""
    target: Shape
    """The shape that is scaled to."""
    parameterization: Parameterization
    """The scaling rules."""
    hyperparameters: BaseHyperparameters | None = None
    """What is projected; None: the numbers are multipliers on the settings of the base."""
    roles: dict[Role, Settings]
    """Settings or multipliers by role."""
    forward: Forward
    """The forward multipliers, or the multipliers on those."""
    rules: Formulas
    """The rule behind each number."""


def multiplier_report(
    base: Shape, target: Shape, parameterization: Parameterization
) -> ScalingReport:
    """What every setting of the base is multiplied by at the target."""
    by = multipliers(base, target, parameterization)
    return ScalingReport(
        base=base,
        target=target,
        parameterization=parameterization,
        roles=by.roles,
        forward=by.forward,
        rules=Formulas.of(by, parameterization),
    )


def projection_report(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
) -> ScalingReport:
    """The target's concrete settings."""
    projection = project(hyperparameters, base, target, parameterization)
    return ScalingReport(
        base=base,
        target=target,
        parameterization=parameterization,
        hyperparameters=hyperparameters,
        roles=projection.roles,
        forward=projection.forward,
        rules=Formulas.of(projection, parameterization),
    )
