"""How long a run waits for stores that are away or slow: one value, which tests make smaller."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times in seconds."""

    storage: float = 60.0
    """How long Optuna's database may be away before a run ends."""
    linger: float = 1.0
    """Trials that finish within this time are delivered to a sink together."""
    retry: float = 0.5
    """From one attempt at a sink that fails to the next, doubled each time."""
    longest_retry: float = 30.0
    """The longest time from one attempt to the next."""
    sink: float = 15.0
    """At the end of a run, how long a sink may make no progress before it is left."""
    all_sinks: float = 60.0
    """At the end of a run, how long it waits in all for sinks that do make progress."""
