"""Where the contents of a page come from, and what was written."""

from dataclasses import dataclass
from datetime import UTC, datetime

from proxytune.config.base import Report


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page's contents come from, to do it again."""

    home: str
    """The home, or the file, that holds them."""
    storage: str | None
    """Optuna's storage, without its password; None: the journal in home."""
    version: str
    """Of the program that writes the page."""

    @property
    def footer(self) -> str:
        """The last line of a page."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        of = self.home if self.storage is None else f"{self.home} and {self.storage}"
        return f"Written by proxytune {self.version} at {now}, from {of}"


class PageReport(Report):
    """One page."""

    file: str
    """The HTML file."""
    title: str
    """What it is about."""
    answer: str
    """Its first sentence: the result."""
    sections: tuple[str, ...]
    """Headings of its sections, in order."""
    size: int
    """Of the file, in bytes."""
