"""The execution block: where packs train."""

from typing import Literal

from pydantic import Field, PositiveInt

from proxytune.config.base import Spec


class ExecutionSpec(Spec):
    """Where packs train, and what each of them gets."""

    executor: Literal["ray", "local"] = "ray"
    """ray: Ray Tune, on all workers; local: in this process, one pack after another."""
    cpus_per_pack: PositiveInt = 1
    """CPU cores for each pack, and its number of threads."""
    gpus_per_pack: float | None = Field(None, ge=0)
    """GPUs for each pack; fractions are allowed. null: 1 if there are GPUs, else 0."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Whether packs train through torch.compile, which needs a C++ compiler, and Triton on GPUs.
    auto: if a measurement before the search says that a pack saves more time by it than compiling
    takes. Losses then differ a little, as by another order of sums."""
    max_packs: PositiveInt | None = None
    """Packs that train at the same time. null: as many as fit on the cluster. With a larger number
    some packs wait, and an autoscaling cluster grows for them."""
    max_failures: int = Field(4, ge=0)
    """How many times in a row a pack may lose its worker or node without making progress. One more
    and the pack fails. Preemptible nodes often disappear several at a time."""
