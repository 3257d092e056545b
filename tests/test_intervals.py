"""Intervals over seeds are Student's, and equivalence is shown, not assumed."""

import math

import numpy as np
import pytest
from scipy import stats

from proxytune.intervals import Figure, jackknife, paired

VALUES = np.array([0.31, 0.12, 0.25, 0.4, 0.22])


def test_the_interval_of_a_paired_figure_is_students() -> None:
    found = paired(VALUES).interval
    known = stats.ttest_1samp(VALUES, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))
    assert found.value == pytest.approx(VALUES.mean())


def test_leaving_seeds_out_tells_the_same_where_the_figure_is_a_mean() -> None:
    without = np.array([np.delete(VALUES, s).mean() for s in range(len(VALUES))])
    by_seed, left_out = paired(VALUES), jackknife(float(VALUES.mean()), without)
    assert left_out.error == pytest.approx(by_seed.error)
    assert left_out.seeds == by_seed.seeds


def test_one_seed_has_no_interval() -> None:
    for figure in (paired(VALUES[:1]), jackknife(0.31, np.array([]))):
        found = figure.interval
        assert (found.value, found.low, found.high) == (pytest.approx(0.31), None, None)


def test_a_seed_that_diverged_leaves_no_figure() -> None:
    found = paired(np.array([0.1, math.inf, 0.2])).interval
    assert (found.value, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.02, 0.01, "same"),
        (-0.02, 0.01, "same"),
        (0.2, 0.1, "undecided"),  # near zero, but so are figures beyond the margin
        (0.0, 1.0, "undecided"),  # no difference seen is not "no difference"
        (0.3, 0.1, "undecided"),  # not zero, but perhaps within the margin
        (0.9, 0.1, "different"),
        (-0.9, 0.1, "different"),
        (0.1, 0.0, "same"),
        (0.3, 0.0, "different"),
    ],
)
def test_same_means_within_the_margin_and_different_means_beyond_it(
    value: float, error: float, verdict: str
) -> None:
    assert Figure(value, error, seeds=6).equivalence(0.25).verdict == verdict


def test_equivalence_is_two_one_sided_t_tests() -> None:
    found = paired(VALUES).equivalence(0.5)
    below = stats.ttest_1samp(VALUES, 0.5, alternative="less").pvalue
    above = stats.ttest_1samp(VALUES, -0.5, alternative="greater").pvalue
    assert found.p == pytest.approx(max(below, above))


@pytest.mark.parametrize("figure", [Figure(math.inf, 0.1, 5), Figure(0.0, math.nan, 1)])
def test_what_is_not_known_is_undecided(figure: Figure) -> None:
    assert figure.equivalence(0.25).verdict == "undecided"
