"""Samplers and pruners against each other, on a surface of real trials (surface.py).

python benchmarks/sampler_regret.py [--json]      some minutes on two cores

Regret is the surface's loss where the best trial so far lies, less the surface's minimum; the best
trial is that of the lowest loss as observed, noise and all. Packs are asked for by SearchSource
itself, which is told what a trainer would tell; only the losses are read off the surface.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from machine import machine
from optuna.samplers import BaseSampler, TPESampler
from surface import Array, Surface
from threadpoolctl import threadpool_limits

from proxytune.search.samplers import sampler
from proxytune.search.source import SearchSource
from proxytune.spec.load import load_study
from proxytune.spec.pack import Evaluation, PackSpec
from proxytune.spec.search import SearchSpec

SPEC = load_study(Path(__file__).parent / "surface.yaml")
STEPS = SPEC.training.evaluation_steps()
COUNTS = (16, 32, 64, 128)
"""Trials after which regret is taken."""
PACK_SIZES = (1, 8, 16, 32)
PRUNERS = ("none", "median", "successive-halving", "wilcoxon")

START = 16
"""Trials of a Sobol sequence before another sampler has its say."""


def after_qmc(kind: str, seed: int, number: int) -> BaseSampler:
    """The study's sampler of that name, after a start by its qmc."""
    return sampler("qmc" if number < START else kind, seed, number)


VARIANTS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe after qmc": partial(after_qmc, "tpe"),
    "tpe, no liar": lambda seed, number: tpe(seed, number, constant_liar=False),
    "tpe, univariate": lambda seed, number: tpe(seed, number, multivariate=False),
    "tpe, univariate, no liar": lambda seed, number: tpe(
        seed, number, multivariate=False, constant_liar=False
    ),
    "tpe, whole history": lambda seed, number: tpe(seed, number),
    "gp after qmc": partial(after_qmc, "gp"),
}
"""What a study could ask instead; the other names are those of its own samplers."""


def tpe(seed: int, number: int, **options: bool) -> BaseSampler:
    """Optuna's TPE with other options."""
    return TPESampler(seed=seed * 100_003 + number, **options)



@dataclass(frozen=True)
class Search:
    """One search of the surface."""

    sampler: str
    pack_size: int
    seed: int
    trials: int
    pruner: str = "none"


@dataclass(frozen=True)
class Found:
    """What came of a search."""

    search: Search
    regrets: dict[int, float]
    """By trials so far."""
    ask_ms: float
    """Milliseconds a member."""
    trained: float
    """Share of the steps of all trials that were trained, diverged ones left out."""


class Source(SearchSource):
    """The product's source, which here may also ask a variant of its samplers."""

    def _sampler(self, number: int) -> BaseSampler:
        kind, seed = self._spec.search.sampler, self._spec.seed
        variant = VARIANTS.get(kind, partial(sampler, kind))
        return variant(seed, number)


def find(search: Search) -> Found:
    """Searches the surface once."""
    study = optuna.create_study(direction="minimize")
    fields = {"sampler": search.sampler, "pruner": search.pruner, "trials": search.trials}
    changed = SPEC.search.model_copy(update={**fields, "pack_size": search.pack_size})
    spec = SPEC.model_copy(update={"search": changed, "seed": search.seed})
    source = Source(study, spec, Path(), Path("nowhere"), lambda progress: None)
    deviations = np.random.default_rng(search.seed).standard_normal(search.trials)
    true_losses: list[float] = []
    asking, trained = 0.0, 0
    while True:
        began = time.perf_counter()
        pack = source.next_pack()
        asking += time.perf_counter() - began
        if pack is None:
            break
        params = [study.trials[m.number].params for m in pack.members]
        curves = SURFACE.curves(params)
        true_losses += [np.inf if curve is None else curve[-1] for curve in curves]
        trained += train(source, pack, curves, deviations)
    results = study.get_trials(deepcopy=False)
    values = [t.value if t.state is optuna.trial.TrialState.COMPLETE else np.inf for t in results]
    alive = np.isfinite(true_losses).sum()
    return Found(
        search,
        regrets={
            count: float(true_losses[int(np.argmin(values[:count]))] - SURFACE.minimum)
            for count in sorted({*COUNTS, search.trials})
            if count <= search.trials
        },
        ask_ms=1e3 * asking / search.trials,
        trained=float(trained / (alive * len(STEPS))),
    )


def train(source: Source, pack: PackSpec, curves: list[Array | None], deviations: Array) -> int:
    """Tells the pack's losses, rung by rung; returns how many evaluations there were to tell."""
    pruned: set[int] = set()
    told = 0
    for rung, step in enumerate(STEPS):
        news = []
        for member, curve in zip(pack.members, curves, strict=True):
            if curve is None:
                news += [evaluation(member.number, step, None)] if rung == 0 else []
            elif member.number not in pruned:
                losses = SURFACE.observed(curve, deviations[member.number])
                news.append(evaluation(member.number, step, float(losses[rung])))
                told += 1
        pruned |= source.report(pack, news)
    source.finish(pack)
    return told


def evaluation(number: int, step: int, loss: float | None) -> Evaluation:
    """A member's evaluation; a loss of None is that of a trial that diverged."""
    return Evaluation(
        number=number, step=step, tokens=step, train_loss=loss, validation_loss=loss,
        grad_norm=None, lr_factor=1.0, seconds=0.0, diverged=loss is None,
    )  # fmt: skip
