"""What a study runs on, and what of it can be killed."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from subprocess import Popen
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from tests.faults.plan import Fault
from tests.faults.rows import Store

Driver = Popen[bytes]


class Growth(NamedTuple):
    """A command that makes a study grow."""

    words: tuple[str, ...]
    """The verb of `study`, and its options."""
    trials: int
    """How many the study asks for when it has grown."""


class Stage(Protocol):
    """A cluster and stores for one study after another. Used as a context manager."""

    kinds: ClassVar[tuple[str, ...]]
    """What is killed in each round at least: a `_kill_KIND` for each."""
    start_seconds: ClassVar[float]
    """About how long a driver takes until the first trials are finished."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends what was started."""

    @property
    def environment(self) -> Mapping[str, str]:
        """For drivers."""
        return {}

    @property
    def changes(self) -> Mapping[str, Any]:
        """What is different in its study."""
        return {}

    @property
    def growth(self) -> tuple[Growth, ...]:
        """What makes its study grow, one after the other; it is run to its end before each."""
        return ()

    def left_running(self, home: Path) -> list[str]:
        """What still runs for a study that is through, and should not."""
        return []

    @property
    def address(self) -> tuple[str, ...]:
        """The words that name the cluster, for what trains."""
        return ()

    @property
    def where(self) -> tuple[str, ...]:
        """The words that name the stores, beside the home."""
        return ()

    @abstractmethod
    def progress(self, home: Path, study: str) -> tuple[bool, int]:
        """Whether the study is defined, and how many of its trials are finished.

        Raises LookupError if that cannot be seen just now.
        """

    @abstractmethod
    def asked(self, home: Path, study: str) -> int:
        """How many trials the study asks for."""

    @abstractmethod
    def read(self, home: Path, study: str) -> dict[str, Store]:
        """What Optuna, MLflow and Parquet hold of a study, by these names."""

    def strike(self, fault: Fault, driver: Driver) -> bool:
        """Kills what the fault is about; False if there is nothing of that kind just now."""
        return bool(getattr(self, f"_kill_{fault.kind}")(fault, driver))

    def _kill_driver(self, fault: Fault, driver: Driver) -> bool:
        if driver.poll() is not None:
            return False
        driver.kill()
        driver.wait()
        return True

    def tend(self) -> None:
        """Brings back what is due; to be called now and then."""

    def repair(self) -> None:
        """Returns when everything that was killed is there again. Raises what kept it away."""
