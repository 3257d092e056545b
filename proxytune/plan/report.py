"""A plan: what studies on proxies of a target would cost, and which one is suggested."""

from pydantic import JsonValue, field_serializer

from proxytune.config.base import Report, Spec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import NotModelled, TargetSpec
from proxytune.plan.cost import study_runs
from proxytune.plan.tables import TargetTokens
from proxytune.scaling.horizon import Horizon


class PlannedTarget(Spec):
    """The target and its planned training run."""

    name: str
    """The target's name."""
    shape: Shape
    """Its shape."""
    parameters: int
    """Of the whole model, with what not_modelled adds."""
    tokens: float | None
    """Tokens of its planned run; None if it names none."""
    flops: float | None
    """Floating-point operations of that run; None without tokens."""
    not_modelled: tuple[NotModelled, ...] = ()
    """What neither the rules nor a proxy represent."""

    @classmethod
    def of(cls, target: TargetSpec) -> "PlannedTarget":
        """What a plan says of a target."""
        return cls(
            name=target.name,
            shape=target.shape,
            parameters=target.parameters,
            tokens=target.run.tokens,
            flops=target.flops,
            not_modelled=target.not_modelled,
        )


class Machine(Spec):
    """Where the studies would train."""

    device: str
    """What trains a pack."""
    packs_at_once: int
    """Packs that train at the same time."""
    pack_memory: int
    """Bytes that one pack may take."""
    measured: int
    """d_model of the proxy that was measured; the others are estimated from it."""


class PlannedRuns(Spec):
    """The training runs of a study, which are the same on every proxy."""

    trials: int
    """Trials of the search."""
    confirmation: int
    """Runs of a race of usual length, which confirm the best of them."""
    steps: int
    """Optimizer steps of each run."""
    tokens: int
    """Tokens of each run."""

    @classmethod
    def of(cls, study: StudySpec) -> "PlannedRuns":
        """The runs of a study."""
        return cls(
            trials=study.search.trials,
            confirmation=study_runs(study) - study.search.trials,
            steps=study.training.steps,
            tokens=study.training.tokens(study.proxy.seq_len),
        )


class ProxyPlan(Spec):
    """A study on one proxy."""

    shape: Shape
    """The proxy."""
    parameters: int
    """Its weights and gains."""
    trial_flops: float
    """Floating-point operations of one trial."""
    study_flops: float
    """Floating-point operations of the study, confirmation included."""
    share: float | None
    """Of the target's run; None without a token budget."""
    member_memory: int
    """Bytes that one member of a pack takes in training."""
    pack_size: int
    """Trials trained at once."""
    hours: float
    """On this machine."""
    fits: bool
    """Whether one member is within memory."""
    measured: bool
    """Whether this shape itself was measured."""
    obstacles: tuple[str, ...]
    """Why the rule leaves it out; empty if it does not."""


class Suggestion(Spec):
    """Which proxy to take."""

    proxy: int
    """Its place in `proxies`, from 0."""
    reason: str
    """Why it is this one, in a sentence."""


class PlanReport(Report):
    """What tuning for a target would cost, on proxies of a few sizes."""

    target: PlannedTarget
    """What is tuned for."""
    machine: Machine
    """Where the studies would train."""
    runs: PlannedRuns
    """What each study would train."""
    proxies: tuple[ProxyPlan, ...]
    """By ascending size."""
    rule: str
    """The rule that chooses among them, in words."""
    suggestion: Suggestion
    """What it chooses."""
    target_tokens: TargetTokens
    """The suggested proxy on tokens of the target's own tokenizer."""
    study: StudySpec
    """The suggested study. In JSON it is as a user would write it: without what is a default."""
    horizon: Horizon | None = None
    """What the target's horizon rules will multiply its settings by; None: no rule is on."""
    warnings: tuple[str, ...] = ()
    """That nothing corrects for the target's longer run or larger batch, where it has one."""

    @field_serializer("study")
    def _study_as_written(self, study: StudySpec) -> dict[str, JsonValue]:
        return as_written(study)


def as_written(study: StudySpec) -> dict[str, JsonValue]:
    """The study as a user would write it: what was set, and no hyperparameter at its default."""
    written = study.model_dump(mode="json", exclude_unset=True, exclude={"hyperparameters"})
    defaults = BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(study.base))
    own = defaults.model_dump()
    given = study.hyperparameters.model_dump()
    fixed = {name: value for name, value in given.items() if value != own[name]}
    return written | ({"hyperparameters": fixed} if fixed else {})
