"""The point at which errors in carrying it over to the target cost least.

Notation
    μ the surface; e what a hyperparameter's optimum moves by on the way, in octaves, N(0, S)
    x_rob = argmin over x of the mean of μ(x + e)
    S diagonal: measured drift of the optimum where there is some, else the defaults below
Divergence costs more than a rate that is too low, so the robust rate is below the surface's best.
"""

import numpy as np
from scipy.stats import qmc

from proxytune.config.search import Range
from proxytune.selection.cube import Array
from proxytune.selection.surface import Surface

DRIFT = {"learning_rate": 0.35, "weight_decay": 0.7}
"""Standard deviations of e, in octaves."""
ERRORS, POINTS = 64, 128


def robust(surface: Surface) -> Array | None:
    """x_rob (D,); None where nothing that drifts was searched in a range."""
    space = surface.cube.space
    names = [name for name in DRIFT if isinstance(space.get(name), Range)]
    if not names:
        return None
    normal_ExD = qmc.MultivariateNormalQMC(np.zeros(len(names)), seed=0).random(ERRORS)

    def expected(points_MxD: Array) -> Array:
        losses_M = np.zeros(len(points_MxD))
        for errors in normal_ExD:
            moved_MxD = points_MxD
            for name, error in zip(names, errors, strict=True):
                moved_MxD = surface.cube.shifted(moved_MxD, name, DRIFT[name] * error)
            losses_M += surface.mean(moved_MxD)
        return losses_M / ERRORS

    return surface.lowest(expected, POINTS)
