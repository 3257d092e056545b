"""How many trials to train at once, from what was measured."""

from proxytune.packs.calibration import Calibration, Speed

WITHIN = 1.03
"""Share of the best time a member from which a larger pack is not worth its memory."""
LEARNING_ROUNDS = 2
"""Times that a sampler that learns is asked, at least: in one it would only see its own start."""


def knee(calibration: Calibration) -> Speed | None:
    """The smallest pack whose members train about as fast as any that fits; None if none does."""
    allowed = calibration.allowed
    best = min((speed.seconds_per_member for speed in allowed), default=0.0)
    return next((s for s in allowed if s.seconds_per_member <= WITHIN * best), None)


def pack_size(calibration: Calibration, trials: int, slots: int, learns: bool) -> int:
    """Trials a pack, for so many trials on so many slots, where packs train at the same time.

    At most the knee, so it is within memory; 1 where nothing fits. No larger than keeps every slot
    busy, and even: the last round is as full as the others.
    """
    at_knee = knee(calibration)
    most = at_knee.members if at_knee else 1
    rounds = max(LEARNING_ROUNDS if learns else 1, _over(trials, slots * most))
    return _over(trials, slots * rounds)


def _over(whole: int, part: int) -> int:
    return -(-whole // part)
