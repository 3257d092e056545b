"""The execution part of a study: where packs train."""

from typing import Literal

from pydantic import Field, PositiveInt

from proxytune.config.base import Spec


class ExecutionSpec(Spec):
    """Where packs train."""

    executor: Literal["ray", "local"] = "ray"
    """ray: Ray Tune over all workers; local: in this process, one pack after another."""
    cpus_per_pack: PositiveInt = 1
    """CPU cores, and threads, a pack takes."""
    gpus_per_pack: float | None = Field(None, ge=0)
    """GPUs a pack takes, fractions allowed; null: 1 where there are GPUs, else 0."""
    max_packs: PositiveInt | None = None
    """Packs in training at once; null: as many as the cluster holds. Of a larger number some wait,
    and an autoscaling cluster grows for them."""
    max_failures: int = Field(4, ge=0)
    """Workers, or nodes under them, that a pack may lose in a row without getting any further.
    With one more it has failed. Nodes that are pre-empted often go several at a time."""
