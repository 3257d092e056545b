"""How the packs of a check train: on which workers, and for how long."""

import time

from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.config.target import CheckSpec
from proxytune.errors import InputError
from proxytune.packs.pack import Job


def check_jobs(study: StudySpec, check: CheckSpec, shape: Shape) -> tuple[Job, Job]:
    """For the proxy's pack, and for the target's, which trains a model of this shape.

    Raises InputError for workers that the built-in trainer cannot use.
    """
    deadline = None if check.hours is None else time.time() + 3600 * check.hours
    if study.trainer is None:
        _require_shares(check.workers, shape, study.training.batch_size)
        _require_one_gpu(check.gpus_per_worker)
    proxy = Job(deadline=deadline)
    target = Job(
        workers=check.workers,
        one_command=study.trainer is not None,
        gpus=check.gpus_per_worker,
        activation_checkpointing=check.activation_checkpointing,
        deadline=deadline,
    )
    return proxy, target


def _require_shares(workers: int, shape: Shape, batch_size: int) -> None:
    """Refuses workers among which a parameter or a batch cannot be divided."""
    sizes = {"d_model": shape.d_model} | ({"head_dim": shape.head_dim} if shape.qk_norm else {})
    uneven = [f"{name} = {size}" for name, size in sizes.items() if size % workers]
    if uneven:
        raise InputError.of_field(
            "check.workers", workers, f"must divide the target's {' and '.join(uneven)}"
        )
    if workers > batch_size:
        raise InputError.of_field(
            "check.workers", workers, f"must be at most the study's batch_size, {batch_size}"
        )


def _require_one_gpu(gpus: int | None) -> None:
    """Refuses GPUs that a worker of the built-in trainer would not use."""
    if gpus is not None and gpus > 1:
        raise InputError.of_field(
            "check.gpus_per_worker", gpus, "must be at most 1 for the built-in trainer"
        )
