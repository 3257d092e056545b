"""Packs in, evaluations out: the interfaces between who asks for training and who does it."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec

Result = TypeVar("Result")


class PackRunner(Protocol):
    """One pack in training.

    Raises PackTooLarge where memory does not hold it, and another RunError where not the pack
    is to blame, but what the next one would meet as well, such as a full disk.
    """

    def advance(self) -> Sequence[Evaluation]:
        """Trains to the next evaluation and returns that of every member still in training.

        The first call after a restore also returns the evaluations from before, oldest first.
        """

    def drop(self, numbers: Collection[int]) -> None:
        """Takes members out of training."""

    @property
    def done(self) -> bool:
        """Whether no member is in training any more."""

    def details(self) -> Sequence[MemberDetails]:
        """Called once the pack is done: what its spec asks for, as far as the trainer knows it."""


RunnerFactory = Callable[[PackSpec], PackRunner]
"""Starts a pack, from its checkpoint if there is one. A function of a module: Ray pickles it."""


class PackSource(Protocol):
    """Who asks for packs and judges them. Lives in the driver; knows no executor."""

    def next_pack(self) -> PackSpec | None:
        """The next pack to train; None if there is none at the moment."""

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Called after every `advance`; returns the members to drop. Repeated ones are ignored."""

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Called once the pack is done, with what its runner's `details` gave."""

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Called when the pack is lost and will not be tried again."""

    def too_large(self, pack: PackSpec) -> None:
        """Called when a pack of several members does not fit: its halves are to come next."""

    @property
    def exhausted(self) -> bool:
        """Whether no pack would come any more if those in flight ended well."""


def refuse(source: PackSource, pack: PackSpec, reason: str) -> None:
    """Tells the source of a pack that does not fit into memory; one member alone has failed."""
    if len(pack.members) > 1:
        source.too_large(pack)
    else:
        source.fail(pack, reason)


class Executor(Protocol):
    """Trains packs. Used as a context manager; `run` may be called several times."""

    @property
    def slots(self) -> int:
        """Packs that train at the same time."""

    def __enter__(self) -> "Executor":
        """Acquires what training needs."""

    def __exit__(self, *exception: object) -> None:
        """Gives it back."""

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted.

        Raises KeyboardInterrupt when the user stops it, and the RunError of a pack; packs in
        flight are then left as they are.
        """

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls a function of a module where a pack would train, and returns what it returns.

        What it raises is raised here. Not to be called during `run`, which may take all there is.
        """
