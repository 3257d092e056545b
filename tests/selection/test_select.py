"""From a study's trials to its outcome: who was chosen, how sure, and what to look at."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from proxytune.config.study import StudySpec
from proxytune.errors import RunError
from proxytune.execution.local import LocalExecutor
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialState
from proxytune.search.study import Study
from proxytune.selection.race import Race
from proxytune.selection.select import Findings
from proxytune.testing.bowls import start_bowl
from tests.selection.studies import SPACE, Formula, bowl, octaves, study_of, trial, trials_of
from tests.selection.test_race import Formula as Losses
from tests.selection.test_race import tell
from tests.studies import Observed, in_memory, study_spec

RATE = {"learning_rate": SPACE["learning_rate"]}


def selected(study: StudySpec, losses: Losses | None = None, formula: Formula = bowl) -> Selection:
    """The outcome of a study of formulas; by them too, unless fresh seeds have other losses."""
    found = Findings.of(study, trials_of(study, formula, noise=0.005))
    race = found.race(Path("tokens"), Path("packs"))
    tell(race, losses or _true(race, formula))
    return found.selection(race)


def _true(race: Race, formula: Formula) -> Losses:
    return lambda number, seed: formula(race.candidates[number].hyperparameters.model_dump())


def few(study: StudySpec, *values: float) -> Findings:
    """Findings of a few trials."""
    rates = [0.01 * (number + 1) for number in range(len(values))]
    return Findings.of(
        study,
        [
            trial(study, number, {"learning_rate": rate}, value)
            for number, (rate, value) in enumerate(zip(rates, values, strict=True))
        ],
    )


def raced(found: Findings, losses: Losses) -> Selection:
    race = found.race(Path("tokens"), Path("packs"))
    tell(race, losses)
    return found.selection(race)


def test_the_lucky_trial_loses_to_a_steadier_one() -> None:
    selection = raced(few(study_of(RATE), 3.0, 3.1), lambda number, seed: [3.4, 3.2][number])
    assert [c.number for c in selection.candidates] == [1, 0]
    assert (selection.trial, selection.seeds) == (1, (1, 2, 3, 4))
    assert selection.validation_loss == pytest.approx(3.2)
    assert [c.confirmed for c in selection.candidates] == [(3.2,) * 4, (3.4,) * 4]


def test_divergence_on_one_fresh_seed_ranks_last() -> None:
    selection = raced(
        few(study_of(RATE), 3.0, 3.1, 3.2),
        lambda number, seed: None if (number, seed) == (0, 2) else 3.0 + number,
    )
    assert [c.number for c in selection.candidates] == [1, 2, 0]
    assert selection.candidates[-1].confirmed == (3.0, None)


def test_whoever_dropped_out_is_behind_whoever_went_on() -> None:
    """Also where its mean over fewer seeds is the lower one."""

    def losses(number: int, seed: int) -> float:
        # The later seeds are hard for all.
        return 3.0 + (seed > 4) + 0.1 * (number == 2) + 0.03 * ((number + seed) % 2)

    selection = raced(few(study_of(RATE), 3.0, 3.1, 3.2), losses)
    assert [len(c.confirmed) for c in selection.candidates] == [8, 8, 4]
    assert selection.candidates[-1].number == 2
    assert selection.candidates[-1].mean < selection.best.mean
    assert [c.equal for c in selection.candidates] == [None, True, False]


def test_without_seeds_the_search_s_best_is_taken_as_it_is() -> None:
    found = few(study_of(RATE, selection={"seeds": 0}), 3.2, 3.0, 3.1)
    selection = raced(found, lambda *_: 9.0)
    assert [c.number for c in selection.candidates] == [1, 2, 0]
    assert (selection.validation_loss, selection.standard_error) == (3.0, None)
    assert (selection.seeds, selection.tokens, selection.equal) == ((), 0, ())
    assert set(selection.interval) == {"learning_rate"}


def test_without_seeds_a_long_study_s_best_trial_is_taken_too() -> None:
    study = study_of(RATE, selection={"seeds": 0})
    trials = trials_of(study, lambda p: 2.5 + 0.04 * octaves(p["learning_rate"]) ** 2, noise=0.3)
    found = Findings.of(study, trials)
    lowest = min(trials, key=lambda trial: trial.value or 0.0)
    assert found.selection(found.race(Path("tokens"), Path("packs"))).trial == lowest.number


def test_one_seed_judges_nobody() -> None:
    found = few(study_of(RATE, selection={"seeds": 1, "max_seeds": 1}), 3.0, 3.1)
    selection = raced(found, lambda number, seed: 3.0 + number)
    assert selection.standard_error is None
    assert [c.equal for c in selection.candidates] == [None, None]


def test_one_trial_is_chosen_and_nothing_is_known_of_its_surroundings() -> None:
    selection = raced(few(study_of(RATE), 3.0), lambda *_: 3.1)
    assert (selection.trial, selection.seeds) == (0, (1, 2))
    low, high = selection.interval["learning_rate"]
    assert octaves(high, low) > 3


def test_candidates_that_all_diverge_are_refused() -> None:
    with pytest.raises(RunError, match=r"^study 'small': each of its best 2 points diverged"):
        raced(few(study_of(RATE), 3.0, 3.1), lambda n, seed: None if seed == n + 1 else 3.0)


def test_a_lost_pack_is_not_taken_for_divergence() -> None:
    found = few(study_of(RATE), 3.0, 3.1)
    race = found.race(Path("tokens"), Path("packs"))
    first = race.next_pack()
    assert first is not None
    race.fail(first, "its worker was lost")
    tell(race, lambda *_: 3.0)
    with pytest.raises(RunError, match=r"'small': confirmation-1 was lost .*study run small$"):
        found.selection(race)


def test_a_study_whose_trials_all_diverged_is_refused_with_a_remedy() -> None:
    study = study_of(RATE)
    diverged = [trial(study, number, {"learning_rate": 0.1}, None) for number in range(3)]
    with pytest.raises(RunError, match="search lower learning rates"):
        Findings.of(study, diverged)
    failed = diverged[0].model_copy(update={"state": TrialState.FAILED, "reason": "no disk"})
    with pytest.raises(RunError, match=r"trials failed: no disk; .*study extend small --trials"):
        Findings.of(study, [failed, *diverged])


def test_the_chosen_point_may_lie_between_trials() -> None:
    selection = selected(study_of())
    assert selection.surface == "gp"
    assert {c.origin for c in selection.candidates} >= {"trial", "surface"}
    assert bowl(selection.point.model_dump()) < 2.51
    low, high = selection.interval["learning_rate"]
    assert low <= 0.02 <= high
    assert selection.remarks == ()


def test_an_interval_holds_the_point_that_fresh_seeds_prefer() -> None:
    study = study_of()
    found = Findings.of(study, trials_of(study, noise=0.005))
    race = found.race(Path("tokens"), Path("packs"))
    lows = {n: c.hyperparameters.learning_rate for n, c in race.candidates.items()}
    outside = min(lows, key=lambda number: lows[number])
    narrow = {**found.interval, "learning_rate": (lows[outside] * 1.01, 0.1)}
    tell(race, lambda number, seed: 2.0 if number == outside else 2.5)
    selection = replace(found, interval=narrow).selection(race)
    assert selection.point.learning_rate == lows[outside]
    assert selection.interval == {**narrow, "learning_rate": (lows[outside], 0.1)}


def test_the_same_study_gives_the_same_selection() -> None:
    assert selected(study_of()) == selected(study_of())


def short(high: float = 0.012, low: float = 0.001) -> StudySpec:
    rate = {"low": low, "high": high, "log": True}
    return study_of({**SPACE, "learning_rate": rate})


@pytest.mark.parametrize(
    ("study", "bound"), [(short(), 0.012), (short(high=0.5, low=0.035), 0.035)]
)
def test_a_range_that_ends_before_the_optimum_is_told_with_one_that_does_not(
    study: StudySpec, bound: float
) -> None:
    (edge,) = selected(study).edge
    assert (edge.field, edge.bound) == ("learning_rate", bound)
    assert edge.probability > 0.1
    low, high = edge.proposed
    assert low <= 0.02 <= high
    assert "learning_rate" in edge.remark
    assert f"high: {high:g}" in edge.remark
    wider = study_of({**SPACE, "learning_rate": {"low": low, "high": high, "log": True}})
    assert selected(wider).edge == ()


def searched(folder: Path, low: float, high: float) -> Selection:
    """The outcome of a whole study, trained by bowls that are lowest at a rate of 0.02."""
    space = {"learning_rate": {"low": low, "high": high, "log": True}}
    spec = study_spec(space=space, trials=16, sampler="random")
    study = Study.create(in_memory(), spec)
    with LocalExecutor(start_bowl) as executor:
        executor.run(study.source(folder / "tokens", folder, Observed()))
        found = Findings.of(spec, study.trials())
        race = found.race(folder / "tokens", folder)
        executor.run(race)
    race.forget()
    assert list(folder.iterdir()) == []
    return found.selection(race)


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.01), (0.03, 0.3)])
def test_the_range_that_an_edge_proposes_has_none_when_it_is_searched(
    low: float, high: float, tmp_path: Path
) -> None:
    (edge,) = searched(tmp_path, low, high).edge
    assert edge.bound in (low, high)
    wider = searched(tmp_path, *edge.proposed)
    assert wider.edge == ()
    assert abs(octaves(wider.point.learning_rate)) < 0.5


def test_a_hyperparameter_that_hardly_matters_has_no_edge() -> None:
    selection = selected(
        study_of(), formula=lambda p: 2.5 + 0.04 * octaves(p["learning_rate"]) ** 2
    )
    assert selection.edge == ()
    low, high = selection.interval["weight_decay"]
    assert high / low > 30, "and may be anywhere"


def test_a_range_that_cannot_be_wider_has_no_edge() -> None:
    space = {"weight_decay": {"low": 0.0, "high": 0.5}}
    assert selected(study_of(space), formula=lambda p: 2.5 + p["weight_decay"]).edge == ()


def test_a_wider_range_is_one_that_the_hyperparameter_allows() -> None:
    space = {"beta2": {"low": 0.8, "high": 0.99}}
    (edge,) = selected(study_of(space), formula=lambda p: 3.5 - p["beta2"]).edge
    assert edge.proposed[0] == 0.8
    assert 0.99 < edge.proposed[1] < 1


def diverging(params: Mapping[str, float]) -> float | None:
    """Falls all the way to a cliff at 0.03."""
    rate = params["learning_rate"]
    return None if rate > 0.03 else 2.5 - 0.05 * octaves(rate, 0.03)


def test_a_rate_close_to_divergence_is_told() -> None:
    study = study_of(RATE)
    rates = [(0.001 * 2**number, 3.0 - 0.1 * number) for number in range(5)]
    trials = [trial(study, n, {"learning_rate": r}, loss) for n, (r, loss) in enumerate(rates)]
    for diverged, told in ((0.031, True), (0.033, False)):
        bad = trial(study, 9, {"learning_rate": diverged}, None)
        found = Findings.of(study, [*trials, bad])
        race = found.race(Path("tokens"), Path("packs"))
        tell(race, lambda number, seed: 3.0 - 0.1 * number)
        cliff = found.selection(race).cliff
        assert (cliff is not None) is told
        if cliff is not None:
            assert (cliff.trial, cliff.bound) == (9, diverged)
            assert "0.016" in cliff.remark


def test_divergence_far_away_on_another_axis_is_no_cliff() -> None:
    study = study_of(
        {"learning_rate": SPACE["learning_rate"], "weight_decay": {"low": 0, "high": 1}}
    )
    near = trial(study, 0, {"learning_rate": 0.02, "weight_decay": 0.0}, 3.0)
    for decay, told in ((0.2, True), (0.9, False)):
        bad = trial(study, 1, {"learning_rate": 0.03, "weight_decay": decay}, None)
        found = Findings.of(study, [near, bad])
        race = found.race(Path("tokens"), Path("packs"))
        tell(race, lambda *_: 3.0)
        assert (found.selection(race).cliff is not None) is told
