"""What is off about a trainer's settings, as a report."""

from proxytune.config.base import Report, Spec


class Finding(Spec):
    """A setting of a role that is not what was projected."""

    role: str
    """The role; empty where it is about all roles, or about parameters without one."""
    setting: str
    """lr, weight_decay, eps, beta1, beta2, std, shape or name."""
    parameters: tuple[str, ...]
    """Names of the parameters it was found at."""
    expected: float | None
    """What was projected; None where it is no number."""
    given: float | None
    """What the trainer has."""
    says: str
    """In words, with the likely reason."""


class VerifyReport(Report):
    """A trainer's parameters against a projection."""

    study: str
    """The study that was tuned."""
    target: str
    """The target's name."""
    trainer: str
    """The format of the export."""
    parameters: int
    """How many were compared."""
    findings: tuple[Finding, ...]
    """What is off; none: the trainer took the projection."""

    @property
    def passed(self) -> bool:
        """Whether nothing is off."""
        return not self.findings
