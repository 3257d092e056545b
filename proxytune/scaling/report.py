"""Settings, or multipliers on those of a base, by role, with the rule behind each number."""

from dataclasses import replace

from proxytune.config.base import Report, Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.target import NotModelled, count_parameters
from proxytune.errors import InputError
from proxytune.scaling.folding import fold_projection
from proxytune.scaling.horizon import Horizon, at_horizon
from proxytune.scaling.projection import (
    Forward,
    Projection,
    Settings,
    embedding_decays,
    multipliers,
    project,
)
from proxytune.scaling.remarks import FOLDED_CLIP, remarks
from proxytune.scaling.rules import GAIN_ROLES, Role, RoleRule, rule_table
from proxytune.scaling.runs import Runs, run_remarks
from proxytune.scaling.step_law import StepLaw


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
    def of(cls, rule: RoleRule, at: Horizon | None) -> "RoleFormulas":
        """The formulas of a row of the rule table, times k of a horizon that changes a setting."""

        def times(symbol: str, factor: float) -> str:
            return symbol if factor == 1 else f"{symbol}·k_{symbol}"

        return cls(
            init_std=rule.init_std.formula("σ"),
            lr=rule.lr.formula(times("η", at.learning_rate if at else 1)),
            weight_decay=rule.weight_decay.formula(times("λ", at.weight_decay if at else 1)),
            eps=rule.eps.formula(times("ε", at.eps if at else 1)),
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
    def of(
        cls,
        target: Shape,
        projection: Projection,
        parameterization: Parameterization,
        at: Horizon | None,
    ) -> "Formulas":
        """The rules behind a projection at a horizon, or behind multipliers."""
        table = rule_table(parameterization)
        decays = embedding_decays(target, parameterization)
        undecayed = GAIN_ROLES | (frozenset() if decays else {Role.EMBEDDING})
        formulas = {role: RoleFormulas.of(table.roles[role], at) for role in projection.roles}
        for role in undecayed & formulas.keys():
            formulas[role] = formulas[role].model_copy(update={"weight_decay": "0"})
        if target.tied and decays:
            embedding = formulas[Role.EMBEDDING]
            source = f"{embedding.source}; tied, so it decays as the head, like [CP]'s code"
            formulas[Role.EMBEDDING] = embedding.model_copy(update={"source": source})
        return cls(
            roles=formulas,
            forward=ForwardFormulas(
                embedding=table.roles[Role.EMBEDDING].multiplier.formula("α_emb"),
                attention=table.attention.formula("α_attn/√head_dim₀"),
                residual=table.residual.formula("α_res"),
                logits=table.roles[Role.UNEMBEDDING].multiplier.formula("α_out"),
            ),
        )


class Folded(Spec):
    """The same for a model without forward multipliers, which weights take in."""

    roles: dict[Role, Settings] | None
    """Settings or multipliers by role; None where no weight can take a multiplier in."""
    forward: Forward | None
    """What is left of the forward multipliers: attention."""
    why: str | None = None
    """Why it cannot be folded."""
    clip_norm: float | None = None
    """The clipping norm that was tuned with; None: without, or no study stands behind it."""
    clip: str | None = None
    """What clipping means after folding."""

    @classmethod
    def of(cls, projection: Projection, shape: Shape, clip_norm: float | None) -> "Folded":
        """The settings of a projection, folded."""
        clip = FOLDED_CLIP if clip_norm else None
        try:
            folded = fold_projection(projection, shape)
        except InputError as error:
            return cls(roles=None, forward=None, why=str(error), clip_norm=clip_norm, clip=clip)
        return cls(roles=folded.roles, forward=folded.forward, clip_norm=clip_norm, clip=clip)

    @classmethod
    def over_base(
        cls, base: Shape, target: Shape, parameterization: Parameterization, at: Horizon | None
    ) -> "Folded":
        """Multipliers on the folded settings of the base, at a horizon."""
        # The base with all roles of the target.
        alike = base.at(qk_norm=target.qk_norm, tied=target.tied)
        hp = BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(alike))
        above, below = (
            cls.of(at_horizon(project(hp, alike, shape, parameterization), of), shape, None)
            for shape, of in ((target, at), (alike, None))
        )
        if above.roles is None or below.roles is None:
            return above
        assert above.forward is not None
        assert below.forward is not None
        attention = above.forward.attention / below.forward.attention
        return cls(
            roles={role: _over(above.roles[role], below.roles[role]) for role in above.roles},
            forward=replace(above.forward, attention=attention),
        )


def _over(one: Settings, other: Settings) -> Settings:
    """One's settings over the other's; 1 where there is nothing to divide."""

    def ratio(above: float | None, below: float | None) -> float:
        return above / below if above and below else 1.0

    return Settings(
        init_std=ratio(one.init_std, other.init_std),
        lr=ratio(one.lr, other.lr),
        weight_decay=ratio(one.weight_decay, other.weight_decay),
        eps=ratio(one.eps, other.eps),
        multiplier=1.0,
    )


class ScalingReport(Report):
    """What the rules make of a base at a target: settings, or multipliers on them."""

    base: Shape
    """The shape at which every multiplier is 1."""
    target: Shape
    """The shape that is scaled to."""
    parameters: int
    """Of the target, with what not_modelled adds."""
    not_modelled: tuple[NotModelled, ...] = ()
    """What the target has that neither the rules nor a proxy represent."""
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
    folded: Folded
    """The same for a model without forward multipliers."""
    horizon: Horizon | None = None
    """What horizon rules multiply settings by, which `roles` and `folded` already have; None: no
    such rule is on."""
    step_law: StepLaw | None = None
    """What Step Law would train the target with, to compare; None: its tokens are not known."""
    warnings: tuple[str, ...] = ()
    """What to know besides."""


def multiplier_report(
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
    *,
    not_modelled: tuple[NotModelled, ...] = (),
    at: Horizon | None = None,
) -> ScalingReport:
    """What every setting of the base is multiplied by at the target, and at a horizon."""
    by = at_horizon(multipliers(base, target, parameterization), at)
    defaults = BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(base))
    return ScalingReport(
        base=base,
        target=target,
        parameters=count_parameters(target, not_modelled),
        not_modelled=not_modelled,
        parameterization=parameterization,
        roles=by.roles,
        forward=by.forward,
        rules=Formulas.of(target, by, parameterization, at),
        folded=Folded.over_base(base, target, parameterization, at),
        horizon=at,
        warnings=remarks(defaults, base, base, target, parameterization),
    )


def projection_report(
    hyperparameters: BaseHyperparameters,
    base: Shape,
    target: Shape,
    parameterization: Parameterization,
    *,
    proxy: Shape | None = None,
    clip_norm: float | None = None,
    not_modelled: tuple[NotModelled, ...] = (),
    runs: Runs | None = None,
) -> ScalingReport:
    """The target's concrete settings; tuned on the proxy (default: the base), at `clip_norm`.

    With `runs` also at the target's horizon. Raises InputError for a horizon rule that needs more
    of the runs than is known.
    """
    tuned_on = proxy or base
    parameters = count_parameters(target, not_modelled)
    m_n = parameters / tuned_on.count_parameters()
    at = runs.horizon(hyperparameters, m_n) if runs else None
    at_shape = project(hyperparameters, base, target, parameterization)
    projection = at_horizon(at_shape, at)
    on_proxy = project(hyperparameters, base, tuned_on, parameterization)
    return ScalingReport(
        base=base,
        target=target,
        parameters=parameters,
        not_modelled=not_modelled,
        parameterization=parameterization,
        hyperparameters=hyperparameters,
        roles=projection.roles,
        forward=projection.forward,
        rules=Formulas.of(target, projection, parameterization, at),
        folded=Folded.of(projection, target, clip_norm),
        horizon=at,
        step_law=StepLaw.of(target, tokens) if runs and (tokens := runs.target.tokens) else None,
        warnings=(
            *(run_remarks(runs, on_proxy, projection) if runs else ()),
            *remarks(hyperparameters, base, tuned_on, target, parameterization),
            *(at.clamped if at else ()),
        ),
    )
