"""How fast, and in how much memory, packs of one shape train on a device."""

from pydantic import PositiveFloat, PositiveInt

from proxytune.config.base import Spec


class Speed(Spec):
    """The measurement of one pack size."""

    members: PositiveInt
    """Trials in the pack."""
    seconds: PositiveFloat
    """Time of one step of the whole pack."""
    memory: int
    """Peak memory in bytes, beyond what the process used before."""

    @property
    def seconds_per_member(self) -> float:
        """A member's share of a step."""
        return self.seconds / self.members


class Compiling(Spec):
    """What torch.compile does to the steps of a pack."""

    members: PositiveInt
    """Trials in the pack."""
    plain: PositiveFloat
    """Time of one step without it, in seconds."""
    compiled: PositiveFloat
    """Time of one step with it, in seconds."""
    startup: float
    """Time until it is compiled, in seconds."""

    def pays(self, steps: int) -> bool:
        """Whether a pack of so many steps ends earlier with it."""
        return (self.plain - self.compiled) * steps > self.startup


class Calibration(Spec):
    """The measurements for one shape and batch, with one pack's share of a device."""

    device: str
    """The name of the GPU or CPU, and CPU threads."""
    memory: int
    """Bytes that one pack may use there."""
    speeds: tuple[Speed, ...]
    """By ascending size; empty if not even one member fits."""
    too_large: PositiveInt | None = None
    """The smallest pack that is known not to fit."""

    @property
    def allowed(self) -> tuple[Speed, ...]:
        """Sizes that fit into memory."""
        limit = self.too_large or float("inf")
        return tuple(s for s in self.speeds if s.memory <= self.memory and s.members < limit)
