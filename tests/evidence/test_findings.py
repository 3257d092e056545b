"""Findings on curves whose truth is known."""

import numpy as np
import pytest

from proxytune.evidence.curve import Array
from proxytune.evidence.findings import Comparison, Finding, findings

X = np.arange(-10.0, -2.0)
WIDTHS = [32, 64, 128, 256]
DRIFT = [-5.2, -6.0, -6.6, -7.5]


def curves(lowest: list[float], offsets: Array) -> Array:
    """Losses (shapes, seeds, values): parabolas with these minima, each seed lifted by its own."""
    bowls = np.stack([2 + 0.1 * (X - x) ** 2 for x in lowest])
    return bowls[:, None] + offsets[None, :, None]


def found(losses: Array) -> Finding:
    return findings("width", X, WIDTHS, {"sp": losses})[0]["sp"]


def compared(one: Array, other: Array) -> Comparison:
    (pair,) = findings("width", X, WIDTHS, {"one": one, "other": other})[1]
    return pair


def test_drift_is_what_the_minima_move_and_has_a_sign() -> None:
    moving = found(curves(DRIFT, np.zeros(3)))
    assert moving.drift.value == pytest.approx(-2.3)
    assert moving.drift_per_doubling.value == pytest.approx(-0.75, abs=0.02)
    assert found(curves([-5.8] * 4, np.zeros(3))).drift.value == pytest.approx(0.0, abs=1e-9)


def test_regret_is_the_price_of_the_first_shapes_optimum() -> None:
    finding = found(curves(DRIFT, np.zeros(3)))
    regrets = [figure.value for figure in finding.regret]
    assert regrets == pytest.approx([0.0, 0.1 * 0.8**2, 0.1 * 1.4**2, 0.1 * 2.3**2])
    assert all(loss.value == pytest.approx(2.0) for loss in finding.loss_at_optimum)


def test_regret_is_judged_on_seeds_that_did_not_choose() -> None:
    """Where optima differ by noise alone, the first shape's is as good as the own: not worse."""
    rng = np.random.default_rng(0)
    noisy = [
        found(curves([-5.8] * 4, np.zeros(4)) + rng.normal(0, 0.05, (4, 4, len(X))))
        for _ in range(60)
    ]
    regrets = np.array([finding.regret[-1].value for finding in noisy])
    assert (regrets < 0).any()
    assert abs(regrets.mean()) < 3 * regrets.std() / np.sqrt(len(regrets))


def test_seeds_that_agree_leave_no_uncertainty() -> None:
    finding = found(curves(DRIFT, np.zeros(3)))
    for figure in (finding.drift, *finding.loss_at_optimum):
        assert figure.error == pytest.approx(0, abs=1e-9)


def test_what_a_seed_does_to_both_cancels_in_their_comparison() -> None:
    offsets = np.array([-0.3, 0.0, 0.3])
    pair = compared(curves([-5.5] * 4, offsets), curves([-5.9] * 4, offsets) + 0.01)
    assert (pair.one, pair.other) == ("one", "other")
    for loss, x in zip(pair.loss_difference, pair.optimum_difference, strict=True):
        assert (loss.value, loss.error) == (pytest.approx(-0.01), pytest.approx(0, abs=1e-9))
        assert x.value == pytest.approx(0.4)


def test_diverged_runs_are_worse_than_any_other() -> None:
    losses = curves([-5.2] * 4, np.zeros(3))
    losses[:, :, -3:] = np.inf
    finding = found(losses)
    assert finding.drift.value == pytest.approx(0.0, abs=1e-9)
    assert not any(best.at_edge for best in finding.optima)


def test_a_shape_that_always_diverges_is_a_result() -> None:
    losses = curves([-5.2] * 4, np.zeros(3))
    losses[-1] = np.inf
    finding = found(losses)
    assert finding.drift.interval.value is None
    assert finding.regret[-1].interval.value is None
    assert finding.regret[1].value == pytest.approx(0.0, abs=1e-9)
    assert compared(losses, losses).loss_difference[-1].interval.value is None


def test_exponents_are_those_with_which_gaps_shrink() -> None:
    n = np.array(WIDTHS, dtype=np.float64)
    loss_C, x_C = 2 + 3 * n**-0.8, -6 + 20 * n**-0.6
    losses = np.stack([[low + 0.1 * (X - x) ** 2] * 3 for low, x in zip(loss_C, x_C, strict=True)])
    exponents = found(losses).exponents
    assert exponents is not None
    assert exponents.loss.value == pytest.approx(0.8)
    assert exponents.optimum.value == pytest.approx(0.6)
    assert exponents.lead.value == pytest.approx(0.2)


def test_without_a_gap_there_is_no_exponent() -> None:
    exponents = found(curves([-5.8] * 4, np.zeros(3))).exponents
    assert exponents is not None
    assert exponents.lead.interval.value is None


@pytest.mark.parametrize("rule", [1.0, 0.0, -0.5])
def test_along_the_repeat_factor_the_slope_is_over_s(rule: float) -> None:
    repeats = [1, 2, 4, 8]
    lowest = [-6 + rule * np.log2((1 + np.sqrt(r)) / 2) for r in repeats]
    by_label, _ = findings("repeat", X, repeats, {"none": curves(lowest, np.zeros(3))})
    slope = by_label["none"].slope
    assert slope is not None
    assert slope.value == pytest.approx(rule, abs=1e-9)
