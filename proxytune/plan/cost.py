"""What tuning costs, in floating-point operations, and what share of the target's run that is.

Training alone is counted, on both sides: see `Shape.training_flops_per_token`.
"""

from typing import Any

from proxytune.config.study import StudySpec
from proxytune.config.target import TargetSpec


def trial_flops(study: StudySpec) -> float:
    """Of one trial that trains to its end."""
    return float(
        study.training.tokens(study.proxy.seq_len) * study.proxy.training_flops_per_token()
    )


def study_runs(study: StudySpec) -> int:
    """Training runs of a study whose trials all train to their end, confirmation included."""
    return study.search.trials + study.selection.top * study.selection.seeds


def cost_document(study_flops: float, target: TargetSpec) -> dict[str, Any]:
    """The study's cost beside the target's planned run, where that is known."""
    planned = target.flops
    return {
        "study_flops": study_flops,
        "target_flops": planned,
        "share": None if planned is None else study_flops / planned,
    }
