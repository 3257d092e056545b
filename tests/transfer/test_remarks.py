"""A check run says what its verdict does not, and only where there is something to say."""

import math

import pytest

from proxytune.transfer.remarks import check_remarks
from tests.transfer.examples import PROXY, TARGET, check_run, run

GUESS = math.log(PROXY.vocab_size)


@pytest.mark.parametrize(
    ("proxy", "target"), [(0.1, 0.29), (0.9, 0.71), (0.0, None), (None, 0.9), (None, None)]
)
def test_shares_of_clipped_steps_that_are_alike_or_unknown_need_no_remark(
    proxy: float | None, target: float | None
) -> None:
    both = check_run(run(TARGET, clipped_share=target), run(clipped_share=proxy))
    assert check_remarks(both) == ()


@pytest.mark.parametrize(("proxy", "target"), [(0.1, 0.31), (0.31, 0.1)])
def test_shares_of_clipped_steps_that_differ_by_more_than_a_fifth_are_told(
    proxy: float, target: float
) -> None:
    both = check_run(run(TARGET, clipped_share=target), run(clipped_share=proxy))
    (told,) = check_remarks(both)
    assert told.startswith(f"{target:.0%} of the target's steps were clipped, {proxy:.0%} of")
    assert "clip_norm: null" in told


@pytest.mark.parametrize("above", [None, -0.2, 0.9])
def test_a_start_near_the_loss_of_a_guess_needs_no_remark(above: float | None) -> None:
    first = None if above is None else GUESS + above
    assert check_remarks(check_run(run(TARGET, first_loss=first), run(first_loss=first))) == ()


@pytest.mark.parametrize("name", ["proxy", "target"])
def test_a_start_more_than_a_nat_above_a_guess_is_told(name: str) -> None:
    high = {name: run(first_loss=GUESS + 1.1)}
    (told,) = check_remarks(check_run(**high))
    assert told.startswith(f"the {name} starts at a loss of 6.6, far above the 5.5")
    assert "output_multiplier" in told
