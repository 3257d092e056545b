"""Pruners, by the names that a study gives them."""

from collections.abc import Sequence

from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial

REDUCTION = 4
"""Of so many trials one passes a rung, and rungs are so many times further apart each time."""


def pruner(kind: str, steps: Sequence[int]) -> BasePruner:
    """The pruner of that name, for trials that are evaluated after these steps."""
    if kind == "median":
        return MedianPruner()
    return SuccessiveHalving(steps) if kind == "successive-halving" else NopPruner()


class SuccessiveHalving(BasePruner):
    """Asynchronous successive halving (arXiv 1810.05934): a trial passes a rung by its rank.

    Optuna's own ranks a trial among those judged before it. In a pack, the order of the members
    would then decide: told worst first, each is the best so far and all of them pass.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        powers = {REDUCTION**k for k in range(len(steps).bit_length())}
        self._rungs = {step for nth, step in enumerate(steps, 1) if nth in powers}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial's loss at this rung is not among the best of all that got here."""
        step = trial.last_step
        if step not in self._rungs:
            return False
        values = [t.intermediate_values.get(step) for t in study.get_trials(deepcopy=False)]
        here = sorted(value for value in values if value is not None)
        passing = max(1, len(here) // REDUCTION)
        return trial.intermediate_values[step] > here[passing - 1]
