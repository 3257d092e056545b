"""A figure over several seeds: its interval, and whether it is as good as zero.

Every seed starts from the same weights and sees the same batches under all parameterizations and
at all shapes, so what differs is paired. Intervals are Student's t over seeds (95 %).

Notation: S seeds; θ a figure of all seeds' mean, θ₋ₛ the same without seed s.

Sources
    jackknife     Tukey 1958: pseudo-values S·θ − (S−1)·θ₋ₛ are treated as S independent figures.
                  Where θ is linear in the losses this is the plain paired t-interval.
    equivalence   two one-sided t-tests: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from proxytune.config.base import Spec

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
Verdict = Literal["same", "different", "undecided"]


class Interval(Spec):
    """A figure with its 95 % interval."""

    value: float | None
    """None where training diverged, so that there is no finite figure."""
    low: float | None
    """None with a single seed, or where leaving one out leaves no finite figure."""
    high: float | None
    """As low."""


class Equivalence(Spec):
    """Whether a figure is zero, for all that matters."""

    margin: float
    """What counts as zero: minus this to this."""
    p: float | None
    """Chance of such seeds if the figure were beyond the margin (two one-sided t-tests)."""
    verdict: Verdict
    """same: within the margin (p < 0.05); different: the 95 % interval is beyond it; undecided."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, its standard error, and the seeds behind it."""

    value: float
    """Not finite where training diverged."""
    error: float
    """NaN if unknown."""
    seeds: int

    @property
    def interval(self) -> Interval:
        """The figure with its t-interval."""
        if not math.isfinite(self.value):
            return Interval(value=None, low=None, high=None)
        low, high = self._bounds()
        known = math.isfinite(self.error)
        return Interval(value=self.value, low=low if known else None, high=high if known else None)

    def equivalence(self, margin: float) -> Equivalence:
        """Whether it is within ±margin, as far as these seeds can tell."""
        if not (math.isfinite(self.value) and math.isfinite(self.error)):
            return Equivalence(margin=margin, p=None, verdict="undecided")
        low, high = self._bounds()
        inside = margin - abs(self.value)
        if self.error == 0:
            p = 0.0 if inside > 0 else 1.0
        else:
            p = float(stdtr(self.seeds - 1, -inside / self.error))
        beyond = low > margin or high < -margin
        verdict: Verdict = "same" if p < 0.05 else "different" if beyond else "undecided"
        return Equivalence(margin=margin, p=p, verdict=verdict)

    def _bounds(self) -> tuple[float, float]:
        if self.seeds < 2:
            return math.nan, math.nan
        reach = self.error * float(stdtrit(self.seeds - 1, (1 + CONFIDENCE) / 2))
        return self.value - reach, self.value + reach


def paired(values_S: Array) -> Figure:
    """The mean of a figure that every seed gives."""
    return Figure(float(np.mean(values_S)), _standard_error(values_S), len(values_S))


def jackknife(of_all: float, without_S: Array) -> Figure:
    """A figure of the mean over seeds, from what it is with each seed left out."""
    seeds = max(len(without_S), 1)
    return Figure(of_all, _standard_error(seeds * of_all - (seeds - 1) * without_S), seeds)


def _standard_error(values_S: Array) -> float:
    if len(values_S) < 2 or not np.isfinite(values_S).all():
        return math.nan
    return float(np.std(values_S, ddof=1)) / math.sqrt(len(values_S))
