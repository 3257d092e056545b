"""What is known of a study, as commands print it and functions return it."""

from typing import Literal

from proxytune.config.base import Report, Spec
from proxytune.config.search import Point
from proxytune.config.study import StudySpec
from proxytune.packs.corpus import CorpusFacts
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialResult

StudyState = Literal["created", "unfinished", "complete"]


class StudyFlops(Spec):
    """Floating-point operations of a study's training.

    As `Shape.training_flops_per_token` counts them. Evaluations are not counted, nor what was
    lost with a worker: a planned run, with which this is compared, has those besides, too.
    """

    trials: float
    """Of its trials, as far as they got."""
    confirmation: float
    """Of training the best ones on fresh seeds."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.trials + self.confirmation


class StudyReport(Report):
    """A study, its trials, and the best of them."""

    study: str
    """The study's name."""
    state: StudyState
    """unfinished: trials are missing, or the best is not confirmed."""
    spec: StudySpec
    """What was asked for, with every default."""
    pack_size: int | None
    """Trials in its next packs; None as long as nobody has chosen."""
    flops: StudyFlops
    """What it has cost."""
    corpus: CorpusFacts | None = None
    """What it trains on; None as long as nothing has trained."""
    waiting: tuple[Point, ...] = ()
    """Points that are tried next; the sampler suggests what they leave out."""
    selection: Selection | None
    """The outcome; None while the study is not complete."""
    trials: tuple[TrialResult, ...]
    """By number."""


class StudySummary(Report):
    """A study in one line."""

    study: str
    """The study's name."""
    state: StudyState
    """As in a study's report."""
    trials: int
    """Trials that were asked for."""
    finished: int
    """Trials that will not change any more."""
    best: float | None
    """The lowest validation loss so far, nats per token."""
    parameterization: str
    """Name of its parameterization."""
    proxy: str
    """Its proxy, in words."""
