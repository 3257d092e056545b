"""Coordinates of a space go there and back, and choices are where they are."""

import numpy as np
import pytest

from proxytune.config.search import Choices, Range
from proxytune.selection.cube import Cube
from tests.selection.studies import SPACE, study_of

LINEAR = Range(low=0.9, high=0.99)
CUBE = Cube(study_of({**SPACE, "beta1": LINEAR}).search.space)


def test_a_point_goes_there_and_back() -> None:
    params = {"learning_rate": 0.0123, "weight_decay": 0.5, "beta2": 0.95, "beta1": 0.93}
    (point,) = CUBE.units([params])
    assert CUBE.params(point) == params
    assert point[2] == 0.5, "choices by size"
    assert point[3] == pytest.approx(1 / 3)


def test_ends_are_the_ends_of_the_ranges() -> None:
    assert CUBE.params(np.zeros(4)) == {
        "learning_rate": 1e-3, "weight_decay": 0.001, "beta2": 0.9, "beta1": 0.9
    }  # fmt: skip
    assert CUBE.params(np.ones(4)) == {
        "learning_rate": 0.1, "weight_decay": 1.0, "beta2": 0.99, "beta1": 0.99
    }  # fmt: skip


def test_a_value_between_trials_is_rounded_but_never_out_of_its_range() -> None:
    cube = Cube({"learning_rate": Range(low=0.0123412, high=0.0999999, log=True)})
    assert cube.params(np.array([0.0])) == {"learning_rate": 0.0123412}
    assert cube.params(np.array([1.0])) == {"learning_rate": 0.0999999}
    value = cube.params(np.array([0.4]))["learning_rate"]
    assert value == float(f"{value:.4g}")


def test_snapped_points_are_in_the_cube_and_on_choices() -> None:
    snapped = CUBE.snapped(np.array([[-0.1, 1.2, 0.3, 0.4], [0.5, 0.5, 0.9, 0.5]]))
    assert snapped.tolist() == [[0.0, 1.0, 0.5, 0.4], [0.5, 0.5, 1.0, 0.5]]


@pytest.mark.parametrize("entry", [Range(low=0.1, high=0.1), Choices(choices=(0.1,))])
def test_a_range_of_one_value_has_that_value_everywhere(entry: Range | Choices) -> None:
    cube = Cube({"weight_decay": entry})
    assert cube.units([{"weight_decay": 0.1}]).tolist() == [[0.5]]
    for place in cube.snapped(np.array([[0.0], [1.0]])):
        assert cube.params(place) == {"weight_decay": 0.1}


def test_octaves_are_octaves_on_log_and_linear_ranges_and_choices_stay() -> None:
    cube = Cube({**CUBE.space, "learning_rate": Range(low=0.01, high=0.05)})
    of = {"learning_rate": 0.02, "weight_decay": 0.1, "beta2": 0.95, "beta1": 0.92}
    for name, value in (("learning_rate", 0.04), ("weight_decay", 0.2), ("beta2", 0.95)):
        (moved,) = cube.shifted(cube.units([of]), name, 1.0)
        assert cube.params(moved)[name] == pytest.approx(value)
