"""Where a curve is lowest, and what it is between its points."""

import math

import numpy as np
import pytest

from proxytune.evidence.curve import NEAR, Array, loss_at, optimum

X = np.arange(-9.0, -2.0)


def bowl(lowest: float) -> Array:
    """A parabola that is 2 nats at its lowest, x = lowest."""
    return 2 + 0.1 * (X - lowest) ** 2


def asymmetric(lowest: float) -> Array:
    """A bowl that is steeper to the right, as a learning rate's is, 2 nats at its lowest."""
    return 2 + 0.02 * (X - lowest) ** 2 + 0.004 * (X - lowest) ** 3


@pytest.mark.parametrize("lowest", [-7.6, -6.0, -5.5, -4.9, -3.5])
def test_the_vertex_of_a_parabola_is_found(lowest: float) -> None:
    found = optimum(X, bowl(lowest))
    assert (found.x, found.loss, found.at_edge) == (
        pytest.approx(lowest),
        pytest.approx(2.0),
        False,
    )


@pytest.mark.parametrize("lowest", [-6.0, -5.5, -4.9])
def test_the_minimum_of_an_asymmetric_bowl_is_found(lowest: float) -> None:
    found = optimum(X, asymmetric(lowest))
    assert (found.x, found.loss) == (pytest.approx(lowest), pytest.approx(2.0))


def test_points_far_above_the_lowest_have_no_say() -> None:
    far = asymmetric(-5.5)
    far[0] = far[-1] = 2 + 10 * NEAR
    assert optimum(X, far).x == pytest.approx(-5.5)


def test_where_the_cubic_has_no_minimum_the_parabola_counts() -> None:
    dented = np.array([2.0, 2.1, 2.14, 1.99, 2.14, 2.1, 2.0])
    found = optimum(X, dented)
    assert (found.x, found.loss) == (pytest.approx(X[3]), pytest.approx(1.99))


def test_moving_the_curve_moves_the_optimum() -> None:
    uneven = np.array([5.0, 3.1, 2.5, 2.2, 2.3, 2.9, 4.0])
    one, other = optimum(X, uneven), optimum(X + 1.5, uneven + 7)
    assert other.x == pytest.approx(one.x + 1.5)
    assert other.loss == pytest.approx(one.loss + 7)


@pytest.mark.parametrize(("lowest", "end"), [(-12.0, -9.0), (0.0, -3.0)])
def test_a_minimum_at_an_end_is_told_as_such(lowest: float, end: float) -> None:
    found = optimum(X, bowl(lowest))
    assert (found.x, found.at_edge) == (end, True)


def test_beside_divergence_the_lowest_point_itself_is_taken() -> None:
    loss = np.full(len(X), np.inf)
    loss[3:5] = [2.1, 2.0]
    found = optimum(X, loss)
    assert (found.x, found.loss, found.at_edge) == (X[4], loss[4], False)


def test_a_curve_that_diverged_everywhere_has_no_optimum() -> None:
    found = optimum(X, np.full(len(X), np.inf))
    assert (math.isnan(found.x), math.isinf(found.loss), found.at_edge) == (True, True, False)
    assert math.isinf(loss_at(X, bowl(-5.2), found.x))


def test_a_flat_curve_has_an_optimum_all_the_same() -> None:
    flat = np.full(len(X), 2.0)
    assert optimum(X, flat).loss == optimum(X[1:], flat[1:]).loss == pytest.approx(2.0)


@pytest.mark.parametrize("x", [-8.9, -6.3, -6.0, -3.2])
def test_between_points_the_loss_is_on_the_parabola(x: float) -> None:
    assert loss_at(X, bowl(-5.2), x) == pytest.approx(2 + 0.1 * (x + 5.2) ** 2)


def test_beyond_the_grid_the_loss_is_that_of_its_end() -> None:
    assert loss_at(X, bowl(-5.2), 4.0) == pytest.approx(bowl(-5.2)[-1])


def test_between_divergence_and_not_the_loss_is_infinite() -> None:
    loss = bowl(-5.2)
    loss[5:] = np.inf
    assert math.isinf(loss_at(X, loss, -4.5))
    assert loss_at(X, loss, float(X[4])) == pytest.approx(loss[4])
    assert math.isfinite(loss_at(X, loss, -5.5))
