"""What a short training of a shape told about a device: the contract of measuring and choosing."""

from pydantic import PositiveFloat, PositiveInt

from proxytune.config.base import Spec


class Speed(Spec):
    """One size of packs."""

    members: PositiveInt
    """Trials in the pack."""
    seconds: PositiveFloat
    """Time of one step of the whole pack."""
    memory: int
    """Bytes at the peak, beyond what the process had before."""

    @property
    def seconds_per_member(self) -> float:
        """A member's share of a step."""
        return self.seconds / self.members


class Calibration(Spec):
    """A shape, a batch and the place of one pack on a device."""

    device: str
    """The name of the GPU or CPU, and CPU threads."""
    memory: int
    """Bytes that one pack may take there."""
    speeds: tuple[Speed, ...]
    """Ascending sizes; none where not even one member fits."""
    too_large: PositiveInt | None = None
    """The smallest pack that is known not to fit."""

    @property
    def allowed(self) -> tuple[Speed, ...]:
        """Sizes that fit into memory."""
        limit = self.too_large or float("inf")
        return tuple(s for s in self.speeds if s.memory <= self.memory and s.members < limit)
