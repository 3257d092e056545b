"""Optuna's pruners, by the names in a study."""

import warnings
from bisect import insort
from collections.abc import Sequence

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.trial import FrozenTrial

REDUCTION = 4
"""One in this many trials passes a rung, and each rung is this many times as far as the last."""


def pruner(kind: str, steps: Sequence[int]) -> BasePruner:
    """The pruner of that name, for trials with evaluations after these steps."""
    if kind == "median":
        return MedianPruner()
    if kind == "wilcoxon":
        return Wilcoxon()
    return SuccessiveHalving(steps) if kind == "successive-halving" else NopPruner()


class Wilcoxon(WilcoxonPruner):
    """Compares a trial with the best one, evaluation by evaluation; it needs at least four."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is worse than the best one with p < 0.1."""
        with warnings.catch_warnings():
            # If all have diverged, the best has no curve, and Optuna warns each time.
            warnings.filterwarnings(
                "ignore", message="The best trial has no", category=UserWarning
            )
            return super().prune(study, trial)


class SuccessiveHalving(BasePruner):
    """Asynchronous successive halving (arXiv 1810.05934): a trial passes a rung by its rank.

    Optuna's own pruner ranks a trial among those judged before it, so the order of a pack's
    members would decide: worst first, each is the best so far, and all of them pass.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        powers = {REDUCTION**k for k in range(len(steps).bit_length())}
        self._rungs = {step: _Rung(step) for nth, step in enumerate(steps, 1) if nth in powers}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial's loss is not among the best of all trials that reached this rung."""
        rung = self._rungs.get(trial.last_step or 0)
        if rung is None:
            return False
        here = rung.losses(study.get_trials(deepcopy=False))
        return trial.intermediate_values[rung.step] > here[max(1, len(here) // REDUCTION) - 1]


class _Rung:
    """The losses of all trials that reached a step; each trial is checked until it has."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._losses: list[float] = []
        self._awaited: list[int] = []
        self._known = 0

    def losses(self, trials: Sequence[FrozenTrial]) -> Sequence[float]:
        """The losses, ascending; `trials` are all trials of the study, by number."""
        awaited = [*self._awaited, *range(self._known, len(trials))]
        self._awaited, self._known = [], len(trials)
        for trial in map(trials.__getitem__, awaited):
            loss = trial.intermediate_values.get(self.step)
            if loss is not None:
                insort(self._losses, loss)
            elif not trial.state.is_finished():
                self._awaited.append(trial.number)
        return self._losses
