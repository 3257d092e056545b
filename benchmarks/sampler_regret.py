"""Samplers and pruners against each other, on two surrogates of real trials (surface.py).

python benchmarks/sampler_regret.py [--json]      a quarter of an hour on two cores

One surrogate is a Gaussian process, on which gp is at home; the other is a forest. Regret is the
surface's loss where the best trial so far lies, less the surface's minimum; the best trial is that
of the lowest loss as observed, noise and all. Packs are asked for by SearchSource itself, which is
told what a trainer would tell; only the losses are read off the surface.
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
from surface import Array, Surface, recorded, seed_noise
from threadpoolctl import threadpool_limits

from proxytune.config.load import load_study
from proxytune.config.search import SearchSpec
from proxytune.packs.pack import Evaluation, PackSpec
from proxytune.search.samplers import sampler
from proxytune.search.source import SearchSource
from proxytune.storage.open import empty_storage

SPEC = load_study(Path(__file__).parent / "surface.yaml")
ONCE = [row for row in recorded() if row["seed"] == SPEC.seed]
AGAIN = [row for row in recorded() if row["seed"] != SPEC.seed]
SURFACES = {"process": (process := Surface(SPEC.search.space, ONCE))}
SURFACES["forest"] = Surface(SPEC.search.space, ONCE, "forest", process.noise)
"""By surrogate; trials are as noisy on both."""
STEPS = SPEC.training.evaluation_steps()
COUNTS = (16, 32, 64, 128)
"""Trials after which regret is taken."""
PACK_SIZES = (1, 8, 16, 32)
DEFAULT_SIZE = 16
"""That of comparisons at one size."""
PRUNERS = ("none", "median", "successive-halving", "wilcoxon")

SECONDS = 1.0
"""What a trial says it took: more than a suggestion."""

START = 16
"""Trials of a Sobol sequence before another sampler has its say."""


def after_qmc(kind: str, seed: int, number: int) -> BaseSampler:
    """The study's sampler of that name, after a start by its qmc."""
    return sampler("qmc" if number < START else kind, seed, number, SPEC.search)


VARIANTS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe after qmc": partial(after_qmc, "tpe"),
    "tpe, no liar": lambda seed, number: tpe(seed, number, constant_liar=False),
    "tpe, univariate": lambda seed, number: tpe(seed, number, multivariate=False),
    "tpe, univariate, no liar": lambda seed, number: tpe(
        seed, number, multivariate=False, constant_liar=False
    ),
    # Not for a study: it reads pickles from storage, which others may write.
    "cmaes": lambda seed, number: CmaEsSampler(seed=seed * 100_003 + number),
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
    surface: str = "process"


@dataclass(frozen=True)
class Found:
    """What came of a search."""

    search: Search
    regrets: dict[int, float]
    """By trials so far."""
    ask_ms: float
    """Milliseconds of CPU for each member."""
    trained: float
    """Share of the steps of all trials that were trained, diverged ones left out."""


class Source(SearchSource):
    """The product's source, which here may also ask a variant of its samplers."""

    def _sampler(self, number: int) -> BaseSampler:
        kind, seed = self._spec.search.sampler, self._spec.seed
        variant = VARIANTS.get(kind)
        return variant(seed, number) if variant else super()._sampler(number)


def find(search: Search) -> Found:
    """Searches a surface once."""
    surface = SURFACES[search.surface]
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
        began = time.process_time()
        pack = source.next_pack()
        asking += time.process_time() - began
        if pack is None:
            break
        params = [study.trials[m.number].params for m in pack.members]
        curves = surface.curves(params)
        true_losses += [np.inf if curve is None else curve[-1] for curve in curves]
        trained += train(surface, source, pack, curves, deviations)
    results = study.get_trials(deepcopy=False)
    values = [t.value if t.state is optuna.trial.TrialState.COMPLETE else np.inf for t in results]
    alive = np.isfinite(true_losses).sum()
    return Found(
        search,
        regrets={
            count: float(true_losses[int(np.argmin(values[:count]))] - surface.minimum)
            for count in sorted({*COUNTS, search.trials})
            if count <= search.trials
        },
        ask_ms=1e3 * asking / search.trials,
        trained=float(trained / (alive * len(STEPS))),
    )


def train(
    surface: Surface,
    source: Source,
    pack: PackSpec,
    curves: list[Array | None],
    deviations: Array,
) -> int:
    """Tells the pack's losses, rung by rung; returns how many evaluations there were to tell."""
    pruned: set[int] = set()
    told = 0
    for rung, step in enumerate(STEPS):
        news = []
        for member, curve in zip(pack.members, curves, strict=True):
            if curve is None:
                news += [evaluation(member.number, step, None)] if rung == 0 else []
            elif member.number not in pruned:
                losses = surface.observed(curve, deviations[member.number])
                news.append(evaluation(member.number, step, float(losses[rung])))
                told += 1
        pruned |= source.report(pack, news)
    source.finish(pack, ())
    return told


def evaluation(number: int, step: int, loss: float | None) -> Evaluation:
    """A member's evaluation; a loss of None is that of a trial that diverged."""
    return Evaluation(
        number=number, step=step, tokens=step, train_loss=loss, validation_loss=loss,
        grad_norm=None, lr_factor=1.0, seconds=SECONDS, diverged=loss is None,
    )  # fmt: skip


def searches(seeds: int, slow_seeds: int) -> Iterable[Search]:
    """All searches of the benchmark, the slow ones first."""
    for seed in range(slow_seeds):
        for surface in SURFACES:
            yield Search("auto", DEFAULT_SIZE, seed, COUNTS[-1], surface=surface)
            yield Search("gp", DEFAULT_SIZE, seed, 64, surface=surface)
        yield from (Search("auto", size, seed, 64) for size in PACK_SIZES if size != DEFAULT_SIZE)
        yield from (Search("auto", DEFAULT_SIZE, seed, 64, pruner) for pruner in PRUNERS[1:])
    for seed in range(seeds):
        yield from (Search("tpe", size, seed, COUNTS[-1]) for size in PACK_SIZES)
        yield from (Search(kind, DEFAULT_SIZE, seed, 64) for kind in VARIANTS)
        yield from (
            Search("tpe", DEFAULT_SIZE, seed, COUNTS[-1], pruner) for pruner in PRUNERS[1:]
        )
        yield Search("tpe", DEFAULT_SIZE, seed, COUNTS[-1], surface="forest")
        for surface in SURFACES:
            # What they suggest depends on no result, and so on no pack's size.
            for kind in ("random", "qmc"):
                yield Search(kind, DEFAULT_SIZE, seed, 2 * COUNTS[-1], surface=surface)


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
    alike: dict[tuple[str, str, int, str], dict[int, Found]] = {}
    for one in found:
        search = one.search
        key = (search.surface, search.sampler, search.pack_size, search.pruner)
        alike.setdefault(key, {})[search.seed] = one
    of = {key: summary(list(by_seed.values())) for key, by_seed in alike.items()}
    default = SearchSpec.model_fields["sampler"].default

    def table(surface: str) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for (where, kind, size, pruner), row in of.items():
            if (where, pruner) == (surface, "none"):
                rows.setdefault(kind, {})[str(size)] = row
        return rows

    def pruned(kind: str) -> dict[str, Any]:
        return {pruner: of["process", kind, DEFAULT_SIZE, pruner] for pruner in PRUNERS}

    def median_regret(kind: str, count: int) -> float:
        row = of["process", kind, DEFAULT_SIZE, "none"]
        return float(row["regret"][str(count)]["median"])

    return {
        "default": default,
        "default_median_regret_64_k16": median_regret(default, 64),
        "random_twice_median_regret": median_regret("random", 128),
        "samplers": table("process"),
        "pruners": pruned("tpe"),
        "pruners_of_default": pruned(default),
        "surface": SURFACES["process"].facts | {"seed_noise": seed_noise(AGAIN)},
        "forest": {"samplers": table("forest"), "surface": SURFACES["forest"].facts},
        "machine": machine(),
    }


def text(result: dict[str, Any]) -> str:
    """The tables, for reading."""
    lines = ["median regret after 64 trials (quartiles), nats; milliseconds of CPU per suggestion"]
    for surface, samplers in (("", result["samplers"]), ("forest", result["forest"]["samplers"])):
        for kind, by_size in samplers.items():
            for size, row in by_size.items():
                regret = "{median:.4f} ({low:.4f} to {high:.4f})".format(**row["regret"]["64"])
                ask = f"{row['ask_ms']:8.1f}"
                lines.append(f"{kind:25} {surface:6} K={size:3} {regret} {ask}")
    lines.append("pruner of the default: share of steps trained, median regret after 64 trials")
    for pruner, row in result["pruners_of_default"].items():
        lines.append(f"{pruner:26} {row['trained']:.2f} {row['regret']['64']['median']:.4f}")
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
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slow-seeds", type=int, default=5, help="for auto and gp")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("fork"), one_thread) as pool:
        found = list(pool.map(find, searches(given.seeds, given.slow_seeds)))
    result = report(found)
    print(json.dumps(result, indent=2) if given.json else text(result))


if __name__ == "__main__":
    main()
