"""A page as a value, and its HTML: one file that asks for nothing from anywhere.

What is text here is text on the page: the template escapes everything but figures, whose data
plotly escapes.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.graph_objects import Figure
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from proxytune.files import replace

CONFIG = {"responsive": True, "displaylogo": False}
"""Of every figure: as wide as the page, without plotly's logo."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Warnings:
    """What to know besides: one line for each."""

    kind: ClassVar[str] = "warnings"
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    kind: ClassVar[str] = "code"
    text: str
    folded: str | None = None
    """The line that unfolds them; None: they are always visible."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; `marked` rows stand out."""

    kind: ClassVar[str] = "table"
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()
    folded: str | None = None
    """The line that unfolds it; None: it is always visible."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with what it shows."""

    kind: ClassVar[str] = "drawing"
    name: str
    """Unique on the page; letters and dashes."""
    figure: Figure
    caption: str = ""

    @property
    def html(self) -> str:
        """The figure alone, for a page that has plotly.js."""
        document: str = to_html(
            self.figure,
            config=CONFIG,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"figure-{self.name}",
        )
        return document


Part = Text | Warnings | Code | Table | Drawing


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is below it."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    name: str
    """Of the result, as its file may be called."""
    title: str
    answer: str
    """The result in one sentence."""
    sections: tuple[Section, ...]
    footer: str
    """What wrote it, from what, and when."""

    def html(self) -> str:
        """The document, with plotly.js in it once."""
        environment = Environment(
            loader=PackageLoader("proxytune.reports", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        template = environment.get_template("page.html")
        return template.render(page=self, plotly=get_plotlyjs())

    def write(self, path: Path) -> None:
        """Writes the document. Raises RunError if the file cannot be written."""
        replace(path, partial(Path.write_text, data=self.html(), encoding="utf-8"))
