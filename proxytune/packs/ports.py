"""The interfaces between the one who asks for training and the one who does it."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec

Result = TypeVar("Result")


class PackRunner(Protocol):
    """One pack in training.

    Raises PackTooLarge if it does not fit into memory, PackLost if what trains it is gone and
    another runner of the same pack may resume it, and another RunError for a problem that the next
    pack would have as well, such as a full disk.
    """

    def advance(self) -> Sequence[Evaluation]:
        """Trains to the next evaluation and returns it for every member still in training.

        The first call after a restore also returns all earlier evaluations, oldest first.
        """

    def drop(self, numbers: Collection[int]) -> None:
        """Takes members out of training."""

    @property
    def done(self) -> bool:
        """Whether no member is in training any more."""

    def details(self) -> Sequence[MemberDetails]:
        """Called once the pack is done: the details that its spec asks for, if they are known."""


RunnerFactory = Callable[[PackSpec], PackRunner]
"""Starts a pack, from its checkpoint if there is one. A module-level function: Ray pickles it."""


class PackSource(Protocol):
    """Asks for packs and evaluates them. It lives in the driver and knows no executor."""

    def next_pack(self) -> PackSpec | None:
        """The next pack to train; None if there is none right now."""

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Called after every `advance`; returns the members to drop. Repeated ones are ignored."""

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Called once the pack is done, with its runner's `details`."""

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Called when the pack has failed and will not be retried."""

    def too_large(self, pack: PackSpec) -> None:
        """Called if a pack of several members does not fit into memory: its halves come next."""

    @property
    def exhausted(self) -> bool:
        """Whether no more packs will come if the ones in training end well."""


def refuse(source: PackSource, pack: PackSpec, reason: str) -> None:
    """Reports a pack that does not fit into memory; one with a single member has failed."""
    if len(pack.members) > 1:
        source.too_large(pack)
    else:
        source.fail(pack, reason)


class Executor(Protocol):
    """Trains packs. Used as a context manager; `run` may be called several times."""

    @property
    def slots(self) -> int:
        """Number of packs that train at the same time."""

    def __enter__(self) -> "Executor":
        """Acquires the resources for training."""

    def __exit__(self, *exception: object) -> None:
        """Releases them."""

    def run(self, source: PackSource) -> None:
        """Trains until the source is exhausted.

        Raises KeyboardInterrupt if the user stops it, and the RunError of a pack. Packs in
        training then stay as they are.
        """

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls a module-level function where packs train, and returns its result.

        Its exceptions are raised here. Not to be called during `run`, which may use all slots.
        """
