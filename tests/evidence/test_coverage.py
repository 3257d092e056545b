"""On simulated bowls, 95 % intervals hold the truth about that often, and are centred on it."""

import numpy as np
import pytest

from proxytune.evidence.findings import findings

REPEATS = [1, 2, 4, 8, 16]
LOG2_S = np.log2((1 + np.sqrt(REPEATS)) / 2)
X = np.arange(-3.0, 4.0)
EXPERIMENTS = 120


@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("seeds", [5, 8])
def test_the_slopes_interval_covers_it(seeds: int, truth: float) -> None:
    """Asymmetric bowls as flat as that of the K/V multiplier, under the noise of its runs."""
    rng = np.random.default_rng(seeds)
    errors, held = [], 0
    for _ in range(EXPERIMENTS):
        lowest_CxSx1 = (truth * LOG2_S)[:, None, None] + rng.normal(0, 0.1, (5, seeds, 1))
        away = X - lowest_CxSx1
        losses = 2.3 + 0.005 * away**2 + 0.0005 * away**3 + rng.normal(0, 0.01, away.shape)
        losses += rng.normal(0, 0.02, (1, seeds, 1))  # what a seed does to all shapes
        found, _ = findings("repeat", X, REPEATS, {"none": losses})
        slope = found["none"].slope
        assert slope is not None
        interval = slope.interval
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= truth <= interval.high
        errors.append(slope.value - truth)
    assert 0.88 <= held / EXPERIMENTS <= 1.0
    assert abs(np.mean(errors)) < 0.05
