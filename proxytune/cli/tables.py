"""How tables are made, and how numbers are written in them."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from proxytune.intervals import Interval

LONG_RULE = 11
"""Characters of a rule that go on one line."""


def table_of(*headings: str, left: tuple[str, ...] = (), title: str | None = None) -> Table:
    """An empty table. What does not fit its column goes on below it; nothing is cut."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in headings:
        # Names of hyperparameters break as words do.
        table.add_column(
            heading.replace("_", "_\n"),
            justify="left" if heading in left else "right",
            overflow="fold",
            no_wrap=heading == "role",
        )
    return table


def percent(share: float) -> str:
    """A share in two digits, however small."""
    return f"{100 * share:.2g}%"


def number(value: float) -> str:
    """A setting, in four digits."""
    return f"{value:.4g}"


def setting(name: str, value: float) -> str:
    """A hyperparameter's value: a learning rate as a rate, such as 3.89e-02, others as numbers."""
    return f"{value:.2e}" if name == "learning_rate" else number(value)


def loss(value: float | None) -> str:
    """A loss in nats per token; a dash for none."""
    return "–" if value is None else f"{value:.4f}"


def interval(figure: "Interval", signed: bool = False) -> str:
    """A figure with its interval, in rich's markup; a dash for what training diverged at."""
    sign = "+" if signed else ""
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:{sign}.3f}"
    return rf"{figure.value:{sign}.3f} \[{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"


def over_rule(value: float | None, rule: str) -> Text:
    """A setting, over the rule that gave it."""
    if value is None:
        value, rule = 1.0, "gain"
    if len(rule) > LONG_RULE:
        for bracket in ("/(", "/s("):
            rule = rule.replace(bracket, f"\n{bracket}")
    if rule == "0":
        return Text("0")
    return Text.assemble(number(value), "\n", (rule if value else "0", "dim"))
