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
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from machine import machine
from optuna.samplers import BaseSampler, CmaEsSampler, TPESampler
from surface import Array, Surface
from threadpoolctl import threadpool_limits

from proxytune.config.load import load_study
from proxytune.config.search import SearchSpec
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.search.samplers import sampler
from proxytune.search.source import SearchSource
from proxytune.storage.open import empty_storage

SPEC = load_study(Path(__file__).parent / "surface.yaml")
SURFACE = Surface(SPEC)
STEPS = SPEC.training.evaluation_steps()
COUNTS = (16, 32, 64, 128)
"""Trials after which regret is taken."""
PACK_SIZES = (1, 8, 16, 32)
DEFAULT_SIZE = 16
"""That of comparisons at one size."""
TPE_VARIANTS = (" after qmc", ", no liar", ", univariate", ", univariate, no liar")
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
    # Not for a study: it reads pickles from storage, which others may write.
    "cmaes": lambda seed, number: CmaEsSampler(seed=own_seed(seed, number)),
    "gp after qmc": partial(after_qmc, "gp"),
}
"""What a study could ask instead; the other names are those of its own samplers."""


def own_seed(seed: int, number: int) -> int:
    """That of one trial."""
    return seed * 100_003 + number


def tpe(seed: int, number: int, **options: bool) -> BaseSampler:
    """Optuna's TPE with other options."""
    return TPESampler(seed=own_seed(seed, number), **options)


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
    storage = empty_storage()
    study = optuna.create_study(storage=storage, direction="minimize")
    fields = {"sampler": search.sampler, "pruner": search.pruner, "trials": search.trials}
    changed = SPEC.search.model_copy(update={**fields, "pack_size": search.pack_size})
    spec = SPEC.model_copy(update={"search": changed, "seed": search.seed})
    source = Source(study, storage, spec, Path(), Path("nowhere"), lambda progress: None)
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
    source.finish(pack, ())
    return told


def evaluation(number: int, step: int, loss: float | None) -> Evaluation:
    """A member's evaluation; a loss of None is that of a trial that diverged."""
    return Evaluation(
        number=number, step=step, tokens=step, train_loss=loss, validation_loss=loss,
        grad_norm=None, lr_factor=1.0, seconds=0.0, diverged=loss is None,
    )  # fmt: skip


def searches(seeds: int, slow_seeds: int) -> Iterable[Search]:
    """All searches of the benchmark, the slow ones first."""
    for seed in range(slow_seeds):
        # GP takes 0.3 s to ask: fewer seeds, and no more than 64 trials.
        yield from (Search("gp", size, seed, 64) for size in PACK_SIZES)
        yield Search("gp after qmc", DEFAULT_SIZE, seed, 64)
    for seed in range(seeds):
        for size in PACK_SIZES:
            yield from (Search(kind, size, seed, COUNTS[-1]) for kind in ("tpe", "cmaes"))
            yield from (Search(f"tpe{variant}", size, seed, 64) for variant in TPE_VARIANTS)
        # What they are offered depends on no result, and so on no pack's size.
        yield from (Search(kind, DEFAULT_SIZE, seed, 2 * COUNTS[-1]) for kind in ("random", "qmc"))
        yield from (Search("tpe", DEFAULT_SIZE, seed, COUNTS[-1], pruner) for pruner in PRUNERS)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": round(middle, 4), "low": round(low, 4), "high": round(high, 4)}


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """What searches that differ in their seed alone have in common."""
    counts = found[0].regrets
    return {
        "seeds": len(found),
        "regret": {str(n): spread([one.regrets[n] for one in found]) for n in counts},
        "ask_ms": round(float(np.median([one.ask_ms for one in found])), 2),
        "trained": round(float(np.mean([one.trained for one in found])), 3),
    }


def report(found: Sequence[Found]) -> dict[str, Any]:
    """The result file."""
    alike: dict[tuple[str, int, str], dict[int, Found]] = {}
    for one in found:
        key = (one.search.sampler, one.search.pack_size, one.search.pruner)
        alike.setdefault(key, {})[one.search.seed] = one
    of = {key: summary(list(by_seed.values())) for key, by_seed in alike.items()}
    table: dict[str, dict[str, Any]] = {}
    for (kind, size, pruner), row in of.items():
        if pruner == "none":
            table.setdefault(kind, {})[str(size)] = row
    default = SearchSpec.model_fields["sampler"].default
    at_64 = of[default, DEFAULT_SIZE, "none"]["regret"]["64"]["median"]
    return {
        "default": default,
        "default_median_regret_64_k16": at_64,
        "random_twice_median_regret": of["random", DEFAULT_SIZE, "none"]["regret"]["128"][
            "median"
        ],
        "samplers": table,
        "pruners": {pruner: of["tpe", DEFAULT_SIZE, pruner] for pruner in PRUNERS},
        "surface": SURFACE.facts,
        "machine": machine(),
    }


def text(result: dict[str, Any]) -> str:
    """The tables, for reading."""
    lines = ["median regret after 64 trials (quartiles), nats; milliseconds to ask a member"]
    for kind, by_size in result["samplers"].items():
        for size, row in by_size.items():
            regret = "{median:.4f} ({low:.4f} to {high:.4f})".format(**row["regret"]["64"])
            lines.append(f"{kind:26} K={size:3} {regret} {row['ask_ms']:8.1f}")
    lines.append("pruner: share of steps trained, median regret after 128 trials")
    for pruner, row in result["pruners"].items():
        lines.append(f"{pruner:26} {row['trained']:.2f} {row['regret']['128']['median']:.4f}")
    lines.append("random with 128: {random_twice_median_regret:.4f}".format(**result))
    return "\n".join(lines)


def one_thread() -> None:
    """A process a core: threads of their own would be in each other's way."""
    threadpool_limits(1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def main() -> None:
    """Searches on all cores and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slow-seeds", type=int, default=3, help="for gp")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("fork"), one_thread) as pool:
        found = list(pool.map(find, searches(given.seeds, given.slow_seeds)))
    result = report(found)
    print(json.dumps(result, indent=2) if given.json else text(result))


if __name__ == "__main__":
    main()
