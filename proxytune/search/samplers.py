"""Optuna's samplers, by the names that a study gives them."""

import warnings

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler


def sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """A fresh sampler for trial `number`.

    What a trial is offered depends on (seed, number) and the trials so far, and not on where an
    earlier process stopped: a study that was interrupted is offered the same.
    """
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if kind == "random":
        return RandomSampler(seed=own)
    if kind == "tpe":
        # Trials still in training count as bad, so that a pack is not many times the same point.
        return TPESampler(seed=own, constant_liar=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "gp":
            return GPSampler(seed=own)
        # One sequence for the whole study: Optuna's storage keeps how far it has come.
        return QMCSampler(seed=seed, scramble=True, warn_asynchronous_seeding=False)
