"""What tuning costs, in floating-point operations, and what share of the target's run that is.

Training alone is counted, on both sides: see `Shape.training_flops_per_token`.
"""

from proxytune.config.base import Spec
from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec

BETWEEN = 2
"""Points between trials that a race has, besides the best trials."""


class Cost(Spec):
    """A study's cost beside the target's planned run."""

    study_flops: float
    """Floating-point operations of the study's training."""
    target_flops: float | None
    """Of the target's planned run; None without a token budget."""
    share: float | None
    """The first over the second; None without a token budget."""

    @classmethod
    def of(cls, study_flops: float, target: TargetSpec) -> "Cost":
        """The cost of tuning for this target."""
        planned = target.flops
        return cls(
            study_flops=study_flops,
            target_flops=planned,
            share=None if planned is None else study_flops / planned,
        )


def trial_flops(study: StudySpec) -> float:
    """Of one trial that trains to its end."""
    return float(
        study.training.tokens(study.proxy.seq_len) * study.proxy.training_flops_per_token()
    )


def study_runs(study: StudySpec) -> int:
    """Training runs of a study whose trials all train to their end, with a race of usual length.

    `top` trials and two points between trials start it, and half of them go all the way.
    """
    selection = study.selection
    rounds = (selection.seeds + selection.most_seeds + 1) // 2
    return study.search.trials + (selection.top + BETWEEN) * rounds
