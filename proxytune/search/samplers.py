"""Optuna's samplers, by the names in a study."""

import heapq
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
from optuna import Study, Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from proxytune.config.search import Choices, SearchSpec

BEST, LATEST = 32, 128
"""How many results a sampler's model sees: the best (TPE calls them good), and the latest."""


def sampler(kind: str, seed: int, number: int, search: SearchSpec | None = None) -> BaseSampler:
    """A new sampler for trial `number`, to which earlier trials look as if of this search.

    Without that, as they are: a model leaves out what was searched in another range.

    A trial's values depend only on (seed, number) and the trials so far, and not on where an
    earlier process stopped: an interrupted study gets the same values.
    """
    own, at_random = map(int, np.random.SeedSequence([seed, number]).generate_state(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "qmc":
            return _Offer(_Sobol(seed, number), at_random, search)
        return _Offer(MODELS[kind](own), at_random, search)


MODELS: Mapping[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    # Trials in training count as bad, so that a pack does not repeat one point.
    "tpe": lambda seed: TPESampler(seed=seed, constant_liar=True),
    "gp": lambda seed: GPSampler(seed=seed),
}
"""Samplers by name, given the seed of one trial."""


class _Sobol(QMCSampler):
    """Point `number` of the study's own scrambled Sobol sequence.

    Optuna counts in storage how much of its sequence is used; a trial that was killed before its
    parameters were stored would count twice.
    """

    def __init__(self, seed: int, number: int) -> None:
        super().__init__(seed=seed, scramble=True)
        self._number = number

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        # The first trial only shows Optuna the space; it is no point of the sequence.
        return self._number - 1


class _Offer(BaseSampler):
    """Samples for one trial: with a sampler that sees a window of the study, else at random."""

    def __init__(self, sampler: BaseSampler, seed: int, search: SearchSpec | None) -> None:
        self._sampler, self._seed = sampler, seed
        self._space = {} if search is None else distributions(search)
        self._window: _Window | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        self._window = _Window(study, trial, self._space)
        return self._sampler.infer_relative_search_space(self._window, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(self._window or study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        # Each parameter has its own seed: a trial may have been killed between two.
        at_random = RandomSampler(seed=(self._seed + len(trial.params)) % 2**32)
        return at_random.sample_independent(study, trial, param_name, param_distribution)


class _Window(Study):
    """A study as a trial's sampler sees it: a window of the other trials."""

    def __init__(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]
    ) -> None:
        super().__init__(study.study_name, study._storage)
        self._study, self._trial, self._space = study, trial, space

    @cached_property
    def _shown(self) -> Sequence[FrozenTrial]:
        # A trial that was interrupted is in storage already; leave it out.
        others = window(self._study.get_trials(deepcopy=False))
        return [self._as_of_now(o) for o in others if o.number != self._trial.number]

    def _as_of_now(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial from before the space grew, as one of the space by now, in which it lies."""
        ranges = {name: self._space.get(name, of) for name, of in trial.distributions.items()}
        if ranges == trial.distributions:
            return trial
        grown = copy(trial)
        grown.distributions = ranges
        return grown

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def window(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The best and the latest trials with a result, then all trials in training."""
    by_state: dict[TrialState, list[FrozenTrial]] = {state: [] for state in TrialState}
    for trial in trials:
        by_state[trial.state].append(trial)
    complete, pruned = by_state[TrialState.COMPLETE], by_state[TrialState.PRUNED]
    best = heapq.nsmallest(BEST, complete, key=lambda trial: trial.values[0])
    latest = heapq.nlargest(LATEST, complete[-LATEST:] + pruned[-LATEST:], key=_number)
    kept = {trial.number: trial for trial in (*best, *latest)}
    return sorted(kept.values(), key=_number) + by_state[TrialState.RUNNING]


def _number(trial: FrozenTrial) -> int:
    return trial.number


def distributions(search: SearchSpec) -> dict[str, BaseDistribution]:
    """What is searched, in Optuna's words."""
    return {
        name: CategoricalDistribution(entry.choices)
        if isinstance(entry, Choices)
        else FloatDistribution(entry.low, entry.high, log=entry.log)
        for name, entry in search.space.items()
    }


def suggest(trial: Trial, search: SearchSpec) -> dict[str, Any]:
    """A value for each searched hyperparameter; values that the trial already has stay."""
    with warnings.catch_warnings():
        # Diverged trials have an infinite loss, about which the gp sampler warns each time.
        warnings.filterwarnings("ignore", message="Clip non-finite values", category=UserWarning)
        for name, entry in search.space.items():
            if isinstance(entry, Choices):
                trial.suggest_categorical(name, entry.choices)
            else:
                trial.suggest_float(name, entry.low, entry.high, log=entry.log)
    return trial.params
