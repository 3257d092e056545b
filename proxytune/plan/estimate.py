"""Memory, size of packs and time of a proxy that was not measured, from one that was."""

from dataclasses import dataclass

from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.packs.calibration import Calibration, Speed
from proxytune.plan.cost import study_runs, trial_flops
from proxytune.plan.pack_size import knee, pack_size

BYTES = 4
WEIGHT_COPIES = 5
"""Weight, gradient, both moments of AdamW, and one that is passing through the update."""
LOGIT_COPIES = 3
"""Logits, their log-softmax and their gradient."""


def member_memory(shape: Shape, batch_size: int) -> int:
    """Bytes that one member of a pack takes in training, roughly.

    What backward needs, a token and block: both norms' inputs and outputs, queries, keys and
    values before and after RoPE, the attention's output, and what the MLP's products take; with a
    gradient on its way through one block. In 32 bits.
    """
    inner = shape.d_ff * (4 if shape.mlp == "swiglu" else 2)
    block = 6 * shape.d_model + 4 * shape.q_dim + 4 * shape.kv_dim + inner
    numbers = block * (shape.n_layers + 1) + LOGIT_COPIES * shape.vocab_size
    weights = WEIGHT_COPIES * shape.count_parameters()
    return BYTES * (weights + batch_size * shape.seq_len * numbers)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A study on one proxy, on this machine."""

    member_memory: int
    """Bytes."""
    pack_size: int
    hours: float
    fits: bool
    """Whether one member is within memory."""
    measured: bool
    """Whether this shape itself was."""


def estimate(
    study: StudySpec, measured: StudySpec, calibration: Calibration, slots: int
) -> Estimate:
    """The study, by a calibration of another's proxy, or of its own.

    A step takes as long as its FLOPs at the rate of the measured one, member for member, and a
    pack fills the device at the same FLOPs. Larger products run at a higher rate, so the time is
    rather too long.
    """
    own = study.proxy == measured.proxy
    ratio = _step_flops(study) / _step_flops(measured)
    scaled = calibration if own else _scaled(calibration, ratio, study)
    at = knee(scaled)
    size = pack_size(scaled, study.search.trials, slots, study.search.learns)
    per_member = (at or scaled.speeds[0]).seconds_per_member
    runs = study_runs(study)
    seconds = per_member * study.training.steps * runs / min(slots, runs)
    return Estimate(
        member_memory=member_memory(study.proxy, study.training.batch_size),
        pack_size=size,
        hours=seconds / 3600,
        fits=at is not None,
        measured=own,
    )


def _scaled(calibration: Calibration, ratio: float, study: StudySpec) -> Calibration:
    """What the calibration would be of a shape with `ratio` times the FLOPs a step."""
    memory = member_memory(study.proxy, study.training.batch_size)
    at = knee(calibration) or calibration.speeds[0]
    members = max(1, round(at.members / ratio))
    rate = at.seconds_per_member * ratio
    sizes = sorted({1, *(2**k for k in range(members.bit_length()))})
    speeds = tuple(
        # Below the knee a pack takes as long as at it: the device is not full.
        Speed(members=n, seconds=rate * max(n, members), memory=n * memory)
        for n in sizes
        if n <= members
    )
    return calibration.model_copy(update={"speeds": speeds, "too_large": None})


def _step_flops(study: StudySpec) -> float:
    return trial_flops(study) / study.training.steps
