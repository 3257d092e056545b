"""What the record sinks were given."""

from proxytune.config.base import Report, Spec


class SinkReport(Spec):
    """One sink."""

    sink: str
    """Which one, in words."""
    trials: int
    """Finished trials that it now has."""
    added: int
    """Those of them that it lacked."""


class SyncReport(Report):
    """A study's finished trials in every sink."""

    study: str
    """The study's name."""
    sinks: tuple[SinkReport, ...]
    """One for each place where trials are recorded."""
