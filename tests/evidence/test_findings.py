"""Findings on curves whose truth is known."""

from itertools import pairwise

import numpy as np
import pytest

from proxytune.evidence.curve import Array
from proxytune.evidence.findings import findings

X = np.arange(-10.0, -2.0)
WIDTHS = [32, 64, 128, 256]


def curves(lowest: list[float], offsets: Array) -> Array:
    """Losses (shapes, seeds, values): parabolas with these minima, each seed lifted by its own."""
    bowls = np.stack([2 + 0.1 * (X - x) ** 2 for x in lowest])
    return bowls[:, None] + offsets[None, :, None]


def test_drift_is_what_the_minima_move() -> None:
    moving = curves([-5.2, -6.0, -6.6, -7.5], np.zeros(3))
    still = curves([-5.8] * 4, np.zeros(3))
    found, _ = findings(X, WIDTHS, {"sp": moving, "gqa-mup": still})
    assert found["sp"].drift_octaves.value == pytest.approx(2.3)
    assert found["sp"].drift_per_doubling.value == pytest.approx(-0.75, abs=0.02)
    assert found["gqa-mup"].drift_octaves.value == pytest.approx(0.0, abs=1e-9)


def test_regret_is_the_price_of_the_first_shapes_optimum() -> None:
    found, _ = findings(X, WIDTHS, {"sp": curves([-5.2, -6.0, -6.6, -7.5], np.zeros(3))})
    regrets = [estimate.value for estimate in found["sp"].regret]
    assert regrets == pytest.approx([0.0, 0.1 * 0.8**2, 0.1 * 1.4**2, 0.1 * 2.3**2])
    assert all(loss.value == pytest.approx(2.0) for loss in found["sp"].loss_at_optimum)


def test_seeds_that_agree_leave_no_uncertainty() -> None:
    found, _ = findings(X, WIDTHS, {"sp": curves([-5.2, -6.0, -6.6, -7.5], np.zeros(3))})
    for estimate in (found["sp"].drift_octaves, *found["sp"].loss_at_optimum):
        assert estimate.low == pytest.approx(estimate.value)
        assert estimate.high == pytest.approx(estimate.value)


def test_seeds_that_differ_give_an_interval_around_their_mean() -> None:
    offsets = np.array([-0.1, 0.0, 0.02, 0.08])
    found, _ = findings(X, WIDTHS, {"sp": curves([-5.2] * 4, offsets)})
    for loss in found["sp"].loss_at_optimum:
        assert loss.value == pytest.approx(2.0)
        assert 1.9 <= loss.low < 1.97
        assert 2.03 < loss.high <= 2.08


def test_what_a_seed_does_to_both_cancels_in_their_comparison() -> None:
    offsets = np.array([-0.3, 0.0, 0.3])
    paper, none = curves([-5.5] * 4, offsets), curves([-5.9] * 4, offsets) + 0.01
    _, (pair,) = findings(X, WIDTHS, {"paper": paper, "none": none})
    assert (pair.one, pair.other) == ("paper", "none")
    for loss, x in zip(pair.loss_difference, pair.optimum_difference, strict=True):
        assert (loss.low, loss.value, loss.high) == (pytest.approx(-0.01),) * 3
        assert x.value == pytest.approx(0.4)


def test_diverged_runs_are_worse_than_any_other() -> None:
    losses = curves([-5.2] * 4, np.zeros(3))
    losses[:, :, -3:] = np.inf
    found, _ = findings(X, WIDTHS, {"sp": losses})
    assert found["sp"].drift_octaves.value == pytest.approx(0.0, abs=1e-9)
    assert not any(best.at_edge for best in found["sp"].optima)


def test_findings_are_the_same_every_time() -> None:
    offsets = np.array([-0.1, 0.0, 0.2])
    runs = [findings(X, WIDTHS, {"sp": curves([-5, -6, -6, -7], offsets)}) for _ in range(3)]
    assert all(one == other for one, other in pairwise(runs))
