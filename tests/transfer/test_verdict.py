"""Each criterion passes and fails where it says that it does."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxytune.config.target import CheckSpec
from proxytune.scaling.rules import Role
from proxytune.transfer.check import CheckRun
from proxytune.transfer.verdict import SPIKE_WINDOW, Criterion, bracket_of, judge
from tests.transfer.examples import STEPS, TARGET, WARM_UP, check_run, run

SPEC = CheckSpec(spike=0.5, update_ratio=2.0)


def criterion(name: str, of: CheckRun, spec: CheckSpec = SPEC) -> Criterion:
    return next(c for c in judge(of, spec).criteria if c.name == name)


def test_a_target_as_good_as_its_proxy_passes_every_criterion() -> None:
    verdict = judge(check_run(), SPEC)
    assert [c.name for c in verdict.criteria] == [
        *("bracket", "no divergence", "no spike", "wider is better", "update sizes"),
    ]
    assert all(c.passed for c in verdict.criteria)
    assert verdict.word == "pass"


def test_one_failed_criterion_fails_the_whole() -> None:
    verdict = judge(check_run(run(TARGET, losses=(5.0, 4.0, 3.5, 3.02))), SPEC)
    assert [c.name for c in verdict.criteria if not c.passed] == ["wider is better"]
    assert verdict.word == "fail"


@pytest.mark.parametrize(
    ("broken", "who"),
    [
        (check_run(target=run(TARGET, losses=(5.0, None))), "target diverged"),
        (check_run(proxy=run(losses=(5.0, None))), "proxy diverged"),
        (check_run(run(TARGET, losses=(None,)), run(losses=(None,))), "target and proxy diverged"),
    ],
    ids=["target", "proxy", "both"],
)
def test_beside_divergence_only_the_bracket_speaks(broken: CheckRun, who: str) -> None:
    bracket, last = judge(broken, SPEC).criteria
    assert (last.name, last.passed, last.reason) == ("no divergence", False, who)
    assert bracket.name == "bracket"
    alone = judge(replace(broken, bracket=None), SPEC)
    assert alone.criteria == (last,)


RATES = (0.5, 1.0, 2.0)


def bracketed(*losses: float | None) -> CheckRun:
    """The target's last losses at half, once and twice the rate."""
    runs = [run(TARGET, losses=(5.0, 4.0, 3.5, loss)) for loss in losses]
    bracket = dict(zip(RATES, runs, strict=True))
    return check_run(bracket[1.0], bracket=bracket)


@pytest.mark.parametrize(
    ("losses", "passed", "best", "regret"),
    [
        ((2.9, 2.8, 2.9), True, 1, 0.0),
        ((2.791, 2.8, 2.9), True, 0.5, 0.009),
        ((2.789, 2.8, 2.9), False, 0.5, 0.011),
        ((2.9, 2.8, 2.7), False, 2, 0.1),
        ((2.9, 2.8, None), True, 1, 0.0),
        ((2.9, None, None), False, 0.5, None),
        ((None, None, None), False, None, None),
    ],
)
def test_the_projected_rate_must_be_the_best_of_three_or_nearly(
    losses: tuple[float | None, ...], passed: bool, best: float | None, regret: float | None
) -> None:
    of = bracketed(*losses)
    found, bracket = criterion("bracket", of), bracket_of(of)
    assert (judge(of, SPEC).criteria[0], found.passed) == (found, passed)
    assert bracket is not None
    assert bracket.losses == dict(zip(("0.5", "1", "2"), losses, strict=True))
    assert bracket.best == best
    assert bracket.regret == (None if regret is None else pytest.approx(regret))


@pytest.mark.parametrize(
    ("losses", "facts"),
    [
        ((2.9, 2.8, 2.7), ["too low", "2 times", "0.100 nats"]),
        ((2.5, 2.8, 2.9), ["too high", "0.5 times", "0.300 nats"]),
        ((2.5, None, None), ["too high", "diverges", "2.500 at 0.5×", "diverged at 2×"]),
        ((None, None, None), ["far too high", "diverged at 0.5×"]),
    ],
)
def test_a_bracket_says_which_way_and_how_much(
    losses: tuple[float | None, ...], facts: list[str]
) -> None:
    reason = criterion("bracket", bracketed(*losses)).reason
    assert all(fact in reason for fact in facts), reason


def test_without_neighbours_the_bracket_is_not_measured() -> None:
    of = check_run(bracket=None)
    assert criterion("bracket", of).passed is None
    assert judge(of, SPEC).passed
    assert bracket_of(of) is None


def step_losses(rise: float, at: int, before: int = STEPS) -> Sequence[float]:
    """Flat at 4, and higher by `rise` from a step on."""
    return [4.0] * at + [4.0 + rise] * (before - at)


@pytest.mark.parametrize(("rise", "passed"), [(0.5, True), (0.51, False), (-1.0, True)])
def test_a_lasting_rise_of_the_loss_is_a_spike(rise: float, passed: bool) -> None:
    found = criterion("no spike", check_run(run(TARGET, step_losses=step_losses(rise, at=25))))
    assert found.passed is passed
    assert found.numbers["largest_rise"] == pytest.approx(max(rise, 0))


@pytest.mark.parametrize(("height", "passed"), [(4.9, True), (5.1, False)])
def test_a_single_bad_batch_counts_for_a_tenth(height: float, passed: bool) -> None:
    losses = [4.0] * STEPS
    losses[25] += height
    found = criterion("no spike", check_run(run(TARGET, step_losses=losses)))
    assert found.passed is passed
    assert found.numbers["largest_rise"] == pytest.approx(height / SPIKE_WINDOW)


def test_a_rise_during_warm_up_is_no_spike() -> None:
    found = criterion("no spike", check_run(run(TARGET, step_losses=step_losses(9.0, at=WARM_UP))))
    assert found.numbers["largest_rise"] == 0
    assert found.passed


@pytest.mark.parametrize("length", [0, 1, WARM_UP, WARM_UP + 1, WARM_UP + SPIKE_WINDOW])
def test_too_few_steps_for_a_spike_show_none(length: int) -> None:
    losses = step_losses(9.0, at=length // 2, before=length)
    found = criterion("no spike", check_run(run(TARGET, step_losses=losses)))
    assert found.numbers["largest_rise"] == 0


@pytest.mark.parametrize(
    ("last", "passed"), [(3.0, True), (3.009, True), (3.011, False), (2.0, True)]
)
def test_wider_is_not_worse_at_the_same_step_by_more_than_a_seed_s_noise(
    last: float, passed: bool
) -> None:
    found = criterion("wider is better", check_run(run(TARGET, losses=(5.0, 4.0, 3.5, last))))
    assert found.passed is passed


def test_the_worst_evaluation_decides_and_is_named() -> None:
    found = criterion("wider is better", check_run(run(TARGET, losses=(5.0, 3.9, 3.7, 2.0))))
    assert not found.passed
    assert found.numbers == pytest.approx({"worst_gap": 0.2, "at_step": 30})
    assert "of 3 evaluations" in found.reason
    assert "0.200 nats above the proxy's at step 30" in found.reason


def test_the_loss_during_warm_up_does_not_count() -> None:
    assert criterion("wider is better", check_run(run(TARGET, losses=(9.0, 4.0, 3.5, 3.0)))).passed


def test_no_evaluation_after_warm_up_shows_nothing_and_does_not_pass() -> None:
    found = criterion("wider is better", check_run(warmup_steps=STEPS))
    assert not found.passed
    assert "no evaluation after warm-up (40 steps)" in found.reason


@pytest.mark.parametrize(
    ("ratio", "passed"), [(2.0, True), (2.01, False), (0.5, True), (0.49, False), (0.0, False)]
)
@pytest.mark.parametrize("role", list(Role))
def test_each_role_s_update_is_near_the_proxy_s(role: Role, ratio: float, passed: bool) -> None:
    found = criterion("update sizes", check_run(run(TARGET, **{role: 0.5 * ratio})))
    assert found.passed is passed
    assert found.numbers[role] == ratio
    assert f"farthest for {role} " in found.reason


def test_a_role_that_the_proxy_did_not_move_is_left_out() -> None:
    found = criterion("update sizes", check_run(proxy=run(norm=0.0)))
    assert found.passed
    assert Role.NORM not in found.numbers


def test_a_proxy_that_did_not_move_at_all_does_not_pass() -> None:
    assert not criterion("update sizes", check_run(proxy=run(update=0.0))).passed


def test_what_is_allowed_is_what_the_spec_says() -> None:
    twice = check_run(run(TARGET, update=1.5, step_losses=step_losses(0.8, at=25)))
    assert not judge(twice, SPEC).passed
    assert judge(twice, CheckSpec(spike=0.9, update_ratio=3.1)).passed


@pytest.mark.parametrize("of", [check_run(), check_run(warmup_steps=STEPS)], ids=["usual", "late"])
def test_numbers_are_plain_and_finite(of: CheckRun) -> None:
    for found in judge(of, SPEC).criteria:
        json.dumps([found.passed, found.numbers], allow_nan=False)
