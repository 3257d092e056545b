"""Laws of the size of packs: within memory, no larger than pays, and all slots busy."""

import itertools
from collections.abc import Sequence

import pytest

from proxytune.packs.calibration import Calibration, Speed
from proxytune.plan.pack_size import WITHIN, knee, pack_size

SIZES = (1, 2, 4, 8, 16, 32, 64)
CURVES: dict[str, Sequence[float]] = {
    "falls to a knee at 16": (1.0, 0.6, 0.4, 0.3, 0.25, 0.25, 0.26),
    "is flat": (1.0,) * 7,
    "falls for ever": tuple(1 / size for size in SIZES),
    "rises": tuple(float(size) for size in SIZES),
    "is noisy": (1.0, 0.7, 0.9, 0.4, 0.45, 0.39, 0.5),
}
TRIALS, SLOTS, MEMORY = (1, 5, 24, 32, 1000), (1, 2, 3, 64), (0, 10, 25, 90, 1000, 10**9)


def calibration(
    seconds_per_member: Sequence[float], memory: int = 10**9, too_large: int | None = None
) -> Calibration:
    """Ten bytes a member."""
    speeds = tuple(
        Speed(members=size, seconds=size * seconds, memory=10 * size)
        for size, seconds in zip(SIZES, seconds_per_member, strict=True)
    )
    return Calibration(device="a device", memory=memory, speeds=speeds, too_large=too_large)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("learns", [True, False])
def test_a_pack_has_one_trial_at_least_and_is_within_memory(name: str, learns: bool) -> None:
    for memory, trials, slots in itertools.product(MEMORY, TRIALS, SLOTS):
        size = pack_size(calibration(CURVES[name], memory), trials, slots, learns)
        assert 1 <= size <= trials
        assert size == 1 or 10 * size <= memory


@pytest.mark.parametrize("name", CURVES)
def test_more_memory_never_makes_packs_smaller(name: str) -> None:
    for trials, slots in itertools.product(TRIALS, SLOTS):
        sizes = [pack_size(calibration(CURVES[name], m), trials, slots, False) for m in MEMORY]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", CURVES)
def test_all_slots_are_busy_where_there_are_trials_for_them(name: str) -> None:
    for trials, slots in itertools.product(TRIALS, SLOTS):
        size = pack_size(calibration(CURVES[name]), trials, slots, learns=False)
        assert size <= -(-trials // slots)


@pytest.mark.parametrize("name", CURVES)
def test_no_smaller_pack_is_as_fast_as_the_knee(name: str) -> None:
    found = calibration(CURVES[name])
    at = knee(found)
    assert at is not None
    best = min(speed.seconds_per_member for speed in found.speeds)
    assert at.seconds_per_member <= WITHIN * best
    smaller = [s for s in found.speeds if s.members < at.members]
    assert all(speed.seconds_per_member > WITHIN * best for speed in smaller)


def test_what_did_not_fit_once_is_not_asked_for_again() -> None:
    found = calibration(CURVES["falls for ever"], too_large=16)
    assert pack_size(found, 1000, 1, learns=False) == 8
    assert pack_size(calibration(CURVES["is flat"], too_large=1), 1000, 1, learns=False) == 1


def test_packs_are_even() -> None:
    found = calibration(CURVES["falls to a knee at 16"])
    # Two rounds of 16 and 4 would leave the second almost empty.
    assert pack_size(found, 20, 1, learns=False) == 10


def test_a_sampler_that_learns_is_asked_more_than_once() -> None:
    found = calibration(CURVES["falls for ever"])
    assert pack_size(found, 32, 1, learns=False) == 32
    assert pack_size(found, 32, 1, learns=True) == 16
