"""A surface follows the trials, says how sure it is, and ends where training diverges."""

from collections.abc import Mapping

import numpy as np
import pytest

from proxytune.packs.selection import candidates as finished
from proxytune.selection.candidates import candidates
from proxytune.selection.cube import Cube
from proxytune.selection.optimum import argmins, interval
from proxytune.selection.process import Paths, Process
from proxytune.selection.quadratic import Quadratic
from proxytune.selection.robust import robust
from proxytune.selection.surface import Surface, spread
from tests.selection.studies import bowl, octaves, study_of, trial, trials_of

STUDY = study_of()
CUBE = Cube(STUDY.search.space)
NOISE = 0.01


def surface_of(count: int = 40, noise: float = NOISE, seed: int = 0) -> Surface:
    return Surface.of(CUBE, trials_of(STUDY, count=count, noise=noise, seed=seed))


def best_rate(surface: Surface) -> float:
    return CUBE.params(surface.lowest(surface.mean, 512))["learning_rate"]


@pytest.mark.parametrize(("count", "kind"), [(40, "gp"), (9, "quadratic"), (1, "quadratic")])
def test_a_process_needs_ten_trials(count: int, kind: str) -> None:
    surface = surface_of(count)
    assert (surface.model.kind, surface.proposes) == (kind, kind == "gp")


@pytest.mark.parametrize("model", [Process, Quadratic])
def test_both_models_find_the_bottom_of_a_bowl(model: type[Process] | type[Quadratic]) -> None:
    trials = trials_of(STUDY, noise=NOISE)
    points = CUBE.units([trial.params for trial in trials])
    fitted = model.fitted(points, np.array([trial.value for trial in trials]), floor=2.3)
    assert fitted is not None
    everywhere = CUBE.snapped(spread(3, 1024))
    lowest = CUBE.params(everywhere[fitted.mean(everywhere).argmin()])
    assert abs(octaves(lowest["learning_rate"])) < 0.6


def test_a_process_whose_errors_are_not_as_foretold_is_refused() -> None:
    points = np.random.default_rng(0).uniform(size=(40, 3))
    flat = np.full(40, 2.5)
    flat[0] = 9.0
    assert Process.fitted(points, flat, floor=2.0) is None


def test_noise_is_averaged_out() -> None:
    surface = surface_of(60, noise=0.05)
    assert abs(octaves(best_rate(surface))) < 0.5
    assert surface.mean(surface.lowest(surface.mean, 512)[None])[0] == pytest.approx(2.5, abs=0.05)


def test_the_same_trials_give_the_same_surface_and_interval() -> None:
    one, other = surface_of(), surface_of()
    assert (argmins(one) == argmins(other)).all()


def test_losses_that_differ_by_rounding_have_the_same_minimum() -> None:
    trials = trials_of(STUDY, noise=NOISE)
    shaken = [
        trial.model_copy(
            update={"value": (trial.value or 0.0) * (1 + 1e-7 * (-1) ** trial.number)}
        )
        for trial in trials
    ]
    found = [
        [c.hyperparameters for c in candidates(STUDY, Surface.of(CUBE, of), finished(of))]
        for of in (trials, shaken)
    ]
    assert found[0] == found[1]


def test_draws_of_a_process_have_its_mean_and_deviation() -> None:
    process = surface_of(25, noise=0.03).model
    assert isinstance(process, Process)
    points = CUBE.snapped(spread(3, 64))
    heights = np.log(Paths.drawn(process._whole, 2048, 0.0, _rng()).at(points))
    mean, deviation = process._whole.predict(points, return_std=True)
    assert np.abs(heights.mean(0) - mean).max() < 0.2 * deviation.max()
    # 512 waves are not the whole spectrum, and 2048 draws not all.
    assert heights.std(0) / deviation == pytest.approx(np.ones(64), abs=0.35)


def test_draws_of_all_resamples_follow_the_surface() -> None:
    surface = surface_of(25, noise=0.03)
    points = CUBE.snapped(spread(3, 64))
    drawn = np.vstack([draws.at(points) for draws in surface.model.draws(512, _rng())])
    assert drawn.shape == (512, 64)
    shared, own = surface.model.draws(512, _rng())[0], surface.model.draws(512, _rng())[0]
    each = np.broadcast_to(points, (shared.count, *points.shape))
    assert own.at(each) == pytest.approx(shared.at(points))
    middle = np.median(drawn, axis=0)
    spread_of = (np.quantile(drawn, 0.84, axis=0) - np.quantile(drawn, 0.16, axis=0)) / 2
    assert np.mean(np.abs(middle - surface.mean(points)) < 2 * spread_of + 0.005) > 0.95


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("count", [40, 5])
def test_the_interval_holds_the_optimum_four_times_in_five(count: int) -> None:
    held = 0
    for seed in range(6):
        surface = surface_of(count, noise=0.02, seed=seed)
        low, high = interval(surface, argmins(surface))["learning_rate"]
        held += low <= 0.02 <= high
    assert 4 <= held <= 6


def test_an_interval_widens_with_noise_and_is_told_of_every_name() -> None:
    quiet, noisy = (
        interval(s, argmins(s)) for s in (surface_of(noise=0.002), surface_of(noise=0.05))
    )
    assert list(quiet) == list(STUDY.search.space)
    for found in (quiet, noisy):
        assert all(low <= high for low, high in found.values())
        assert set(found["beta2"]) <= {0.9, 0.95, 0.99}
    widths = [octaves(*found["learning_rate"][::-1]) for found in (quiet, noisy)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize(("place", "reached"), [(0.96, True), (0.94, False)])
def test_an_interval_reaches_the_end_of_a_range_that_the_optimum_is_close_to(
    place: float, reached: bool
) -> None:
    surface = surface_of(5)
    (_, high) = interval(surface, np.full((512, 3), place))["learning_rate"]
    (low, _) = interval(surface, np.full((512, 3), 1 - place))["learning_rate"]
    assert ((high, low) == (0.1, 0.001)) is reached


def diverging(params: Mapping[str, float]) -> float | None:
    """Falls all the way to a cliff at 0.03."""
    rate = params["learning_rate"]
    return None if rate > 0.03 else 2.5 - 0.05 * octaves(rate, 0.03)


def test_where_trials_diverged_there_is_no_minimum() -> None:
    study = study_of(selection={"top": 2})
    trials = trials_of(study, diverging, noise=0.002)
    surface = Surface.of(CUBE, trials)
    lowest_diverged = min(t.params["learning_rate"] for t in trials if t.value is None)
    assert best_rate(surface) < lowest_diverged
    low, high = interval(surface, argmins(surface))["learning_rate"]
    assert 0.01 < low <= high < lowest_diverged * 1.3


def test_the_robust_rate_keeps_away_from_a_cliff() -> None:
    surface = Surface.of(CUBE, trials_of(STUDY, diverging, noise=0.002))
    steady = robust(surface)
    assert steady is not None
    assert octaves(CUBE.params(steady)["learning_rate"], best_rate(surface)) < -0.3


def test_without_anything_that_drifts_there_is_no_robust_point() -> None:
    study = study_of({"beta2": {"low": 0.9, "high": 0.99}})
    trials = trials_of(study, lambda params: 2.5 + (params["beta2"] - 0.95) ** 2, noise=0.001)
    assert robust(Surface.of(Cube(study.search.space), trials)) is None


def test_candidates_are_the_best_trials_and_two_points_between_them() -> None:
    study = study_of(selection={"top": 3})
    trials = trials_of(study, noise=NOISE)
    surface = Surface.of(CUBE, trials)
    ranked = sorted(trials, key=lambda trial: trial.value or 0.0)
    found = candidates(study, surface, finished(trials))
    assert [one.origin for one in found] == ["trial"] * 3 + ["surface", "robust"]
    assert {one.number for one in found[:3]} <= {trial.number for trial in ranked[:10]}
    predicted = [one.predicted for one in found[:3]]
    assert predicted == sorted(predicted, key=lambda loss: loss or 0.0)
    for one in found[3:]:
        assert (one.number, one.value) == (None, None)
        assert bowl(one.hyperparameters.model_dump()) < 2.53


def test_a_point_between_trials_that_one_of_them_is_close_to_is_not_raced_as_well() -> None:
    trials = trials_of(STUDY)
    for _ in range(3):
        surface = Surface.of(CUBE, trials)
        best = CUBE.params(surface.lowest(surface.mean, 512))
        trials.append(trial(STUDY, len(trials), best, bowl(best)))
    found = candidates(STUDY, Surface.of(CUBE, trials), finished(trials))
    assert "surface" not in {one.origin for one in found}


def test_a_study_of_few_trials_has_no_points_between_them() -> None:
    trials = trials_of(STUDY, count=6)
    found = candidates(STUDY, Surface.of(CUBE, trials), finished(trials))
    assert [one.number for one in found] == [one.number for one in finished(trials)][:4]


def test_a_long_study_is_fitted_by_its_best_trials_and_some_of_the_rest() -> None:
    surface = surface_of(600)
    assert len(surface.trained_NxD) == 600
    assert isinstance(surface.model, Process)
    assert len(surface.model._whole.X_train_) == 128
    assert abs(octaves(best_rate(surface))) < 0.3
