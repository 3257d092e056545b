"""The neutral document of an export: every setting by role, and what the format cannot take."""

import math
from dataclasses import asdict
from typing import Literal

from proxytune.config.base import Report, Spec
from proxytune.config.horizon import RunLength
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.folding import plain_forward
from proxytune.scaling.horizon import Horizon
from proxytune.scaling.projection import Forward


class Group(Spec):
    """What the parameters of one role train with."""

    role: str
    """The role; "query bias" for biases on queries."""
    patterns: tuple[str, ...]
    """Shell patterns of the parameters' names. Of all groups in order, the first match counts."""
    lr: float
    """The peak learning rate of AdamW."""
    weight_decay: float
    """Each step removes lr · weight_decay · w."""
    betas: tuple[float, float]
    """β₁ and β₂ of AdamW."""
    eps: float
    """ε of AdamW."""
    init_std: float | None
    """Std of the initial weights, drawn from a normal distribution; None: they are constant."""
    init_value: float | None
    """What gains and biases start at; None where init_std counts."""
    clip_scale: float
    """The forward multiplier that the weights took in: without, gradients would be times this."""
    rows: int | None
    """Rows of the matrix, where the settings depend on them."""
    columns: int | None
    """Columns of the matrix; None for gains and biases."""


class Clip(Spec):
    """Clipping gradients by their global norm."""

    norm: float | None
    """What the study clipped at; None: it did not clip."""
    plain: bool
    """Whether a trainer's own clipping does the same; else it needs the groups' clip_scale."""
    says: str
    """What to do, in words."""


class Schedule(Spec):
    """The learning rate over a run, as a factor on the peak."""

    kind: Literal["cosine", "linear", "wsd"]
    """Decay after a linear warm-up."""
    warmup_fraction: float
    """Share of the steps over which the rate rises."""
    final_lr_fraction: float
    """The last step's rate over the peak."""
    decay_fraction: float
    """For wsd: the share of the steps, at the end, over which the rate falls."""


class Dropped(Spec):
    """Something in the projection that the format cannot take."""

    what: str
    """In words."""
    roles: tuple[str, ...]
    """Whose settings it changes."""
    cost: str
    """What that does, with numbers."""


class ExportDocument(Report):
    """The settings of one target, for one trainer: what param_groups.json holds."""

    study: str
    """The study that was tuned."""
    target: str
    """The target's name."""
    trainer: str
    """The format."""
    shape: Shape
    """The target's shape."""
    parameterization: Parameterization
    """The scaling rules."""
    hyperparameters: BaseHyperparameters
    """Base hyperparameters, before any rule of the table; for the target's run, if a horizon rule
    is on."""
    folded: bool
    """Whether weights have taken in all multipliers that they can."""
    forward: Forward
    """Multipliers that the model applies: attention is the whole softmax scale."""
    groups: tuple[Group, ...]
    """By role."""
    clip: Clip
    """Clipping."""
    schedule: Schedule
    """Learning rates over the run."""
    run: RunLength | None = None
    """The planned run, as far as it is known."""
    horizon: Horizon | None = None
    """What horizon rules multiplied the study's settings by; None: no such rule is on."""
    dropped: tuple[Dropped, ...] = ()
    """What the format cannot take."""

    def group(self, role: str) -> Group:
        """The settings of a role that the target has."""
        return next(group for group in self.groups if group.role == role)

    def multipliers_left(self) -> dict[str, float]:
        """The forward multipliers that a model must be given, by name; others are as usual."""
        usual = plain_forward(self.shape)
        values = asdict(self.forward)
        return {n: v for n, v in values.items() if not math.isclose(v, getattr(usual, n))}
