"""Does the check run say that the projected settings hold? Stated criteria, with numbers."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proxytune.config.base import Spec
from proxytune.config.target import CheckSpec
from proxytune.transfer.check import CheckRun

SPIKE_WINDOW = 10
"""Steps over which the training loss is averaged before a rise counts as a spike."""
MARGIN = 0.01
"""Nats by which one seed's losses may differ without meaning anything."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion and what was found."""

    name: str
    passed: bool | None
    """None where the trainer did not tell what it takes to judge."""
    reason: str
    """In words, with numbers."""
    numbers: dict[str, float]


class Bracket(Spec):
    """The target's last losses around the projected learning rate."""

    losses: dict[str, float | None]
    """Validation loss in nats per token, by the factor on the rate; None where it diverged."""
    best: float | None
    """The factor of the lowest loss; None if all diverged."""
    regret: float | None
    """How much the projected rate's loss is above that; None if it diverged."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Pass if no criterion failed."""

    criteria: tuple[Criterion, ...]

    @property
    def passed(self) -> bool:
        """Whether no criterion failed."""
        return all(criterion.passed is not False for criterion in self.criteria)

    @property
    def word(self) -> Literal["pass", "fail"]:
        """pass or fail."""
        return "pass" if self.passed else "fail"


def judge(run: CheckRun, check: CheckSpec) -> Verdict:
    """The verdict on a check run. Of a run that diverged, there is little more to say."""
    bracket = bracket_of(run)
    if run.target.diverged or run.proxy.diverged:
        first = () if bracket is None else (_bracket(bracket),)
        return Verdict((*first, _no_divergence(run)))
    return Verdict(
        (
            _not_measured("bracket", "more than the projected rate")
            if bracket is None
            else _bracket(bracket),
            _no_divergence(run),
            _no_spike(run, check),
            _wider_is_better(run),
            _updates(run, check),
        )
    )


def bracket_of(run: CheckRun) -> Bracket | None:
    """The losses of the target's bracket; None if it was not trained."""
    if run.bracket is None:
        return None
    losses = {
        f"{factor:g}": None if side.diverged else side.evaluations[-1].validation_loss
        for factor, side in sorted(run.bracket.items())
    }
    finite = {factor: loss for factor, loss in losses.items() if loss is not None}
    best = min(finite, key=lambda factor: (finite[factor], factor != "1"), default=None)
    regret = None if best is None or "1" not in finite else finite["1"] - finite[best]
    return Bracket(losses=losses, best=None if best is None else float(best), regret=regret)


def _bracket(bracket: Bracket) -> Criterion:
    """Whether the projected rate is the best of half, itself and twice, or within the margin."""
    told = ", ".join(
        f"{'diverged' if loss is None else f'{loss:.3f}'} at {factor}×"
        for factor, loss in bracket.losses.items()
    )
    numbers = {factor: loss for factor, loss in bracket.losses.items() if loss is not None}
    if bracket.best is not None:
        numbers["best"] = bracket.best
    if bracket.regret is not None:
        numbers["regret"] = bracket.regret
    passed = bracket.regret is not None and bracket.regret <= MARGIN
    return Criterion("bracket", passed, f"{_found(bracket)} (losses: {told})", numbers)


def _found(bracket: Bracket) -> str:
    """Which way the learning rate is wrong, and how much that costs."""
    if bracket.best is None:
        return "the learning rate is far too high: the target diverges at half of it, too"
    if bracket.best == 1:
        return "the projected learning rate is the best of half, itself and twice"
    way = "high" if bracket.best < 1 else "low"
    better = f"{bracket.best:g} times it"
    if bracket.regret is None:
        return f"the learning rate is too {way}: the target diverges at it, not at {better}"
    if bracket.regret <= MARGIN:
        return f"{better} is better by {bracket.regret:.3f} nats (allowed {MARGIN:g})"
    return (
        f"the learning rate is too {way}: {better} is better by {bracket.regret:.3f} nats "
        f"(allowed {MARGIN:g})"
    )


def _no_divergence(run: CheckRun) -> Criterion:
    which = [name for name in ("target", "proxy") if getattr(run, name).diverged]
    step = run.target.evaluations[-1].step
    reason = f"{' and '.join(which)} diverged" if which else f"trained for {step} steps"
    return Criterion("no divergence", not which, reason, {"steps": float(step)})


def _no_spike(run: CheckRun, check: CheckSpec) -> Criterion:
    """The largest rise of the averaged training loss above its lowest so far, after warm-up.

    0 where there are too few steps to compare.
    """
    if run.target.step_losses is None:
        return _not_measured("no spike", "the training loss at every step")
    sums = np.cumsum([0.0, *run.target.step_losses[run.warmup_steps :]])
    averaged = (sums[SPIKE_WINDOW:] - sums[:-SPIKE_WINDOW]) / SPIKE_WINDOW
    rises = averaged - np.minimum.accumulate(averaged)
    rise = float(rises.max()) if rises.size else 0.0
    return Criterion(
        "no spike",
        rise <= check.spike,
        f"training loss rose by at most {rise:.3f} nats (allowed {check.spike:g})",
        {"largest_rise": rise, "allowed": check.spike},
    )


def _wider_is_better(run: CheckRun) -> Criterion:
    """Validation loss at every evaluation after warm-up, target against proxy."""
    gaps = {
        target.step: target.validation_loss - proxy.validation_loss
        for target, proxy in zip(run.target.evaluations, run.proxy.evaluations, strict=True)
        if target.step > run.warmup_steps
        and target.validation_loss is not None
        and proxy.validation_loss is not None
    }
    if not gaps:
        reason = f"no evaluation after warm-up ({run.warmup_steps} steps): train for longer"
        return Criterion("wider is better", False, reason, {})
    step = max(gaps, key=lambda step: gaps[step])
    gap = gaps[step]
    found = f"{abs(gap):.3f} nats {'above' if gap > 0 else 'below'} the proxy's at step {step}"
    return Criterion(
        "wider is better",
        gap <= MARGIN,
        f"of {len(gaps)} evaluations after warm-up the target's worst is {found} "
        f"(allowed {MARGIN:g})",
        {"worst_gap": gap, "at_step": float(step)},
    )


def _updates(run: CheckRun, check: CheckSpec) -> Criterion:
    """The relative update of each role, target over proxy."""
    proxy, target = run.proxy.updates, run.target.updates
    if proxy is None or target is None:
        return _not_measured("update sizes", "relative updates")
    ratios = {role: size / proxy[role] for role, size in target.items() if proxy[role] > 0}
    if not ratios:
        return Criterion("update sizes", False, "training moved no weight of the proxy", {})
    worst = max(ratios, key=lambda role: _factor(ratios[role]))
    within = 1 / check.update_ratio <= ratios[worst] <= check.update_ratio
    return Criterion(
        "update sizes",
        within,
        f"relative updates are {min(ratios.values()):.2f} to {max(ratios.values()):.2f} times "
        f"the proxy's, farthest for {worst} (allowed 1/{check.update_ratio:g} to "
        f"{check.update_ratio:g})",
        ratios,
    )


def _not_measured(name: str, needed: str) -> Criterion:
    return Criterion(name, None, f"not measured: the trainer does not tell {needed}", {})


def _factor(ratio: float) -> float:
    """How many times too large or too small."""
    return max(ratio, 1 / ratio) if ratio > 0 else math.inf
