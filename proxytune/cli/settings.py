"""Settings or multipliers of a shape, as tables."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxytune.cli.tables import number, table_of

if TYPE_CHECKING:
    from proxytune.scaling.report import ScalingReport

SETTINGS = {
    "init_std": "init std",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "eps": "eps",
    "multiplier": "multiplier",
}
LEGEND = """\
m_in, m_d, m_L, m_h: fan-in, d_model, n_layers, head_dim over those of the base
s(r) = (1 + √r)/2 for the repeat factor r = n_heads/n_kv_heads"""

LONG_RULE = 11
"""Characters of a rule that go on one line."""


def print_settings(report: "ScalingReport", title: str) -> None:
    """Settings or multipliers by role, each over the rule that gave it; then the forward ones."""
    roles = table_of("role", *SETTINGS.values(), left=("role",), title=title)
    sources: dict[str, list[str]] = {}
    for role, settings in report.roles.items():
        by = report.rules.roles[role]
        numbers = (_over_rule(getattr(settings, n), getattr(by, n)) for n in SETTINGS)
        roles.add_row(role, *numbers)
        sources.setdefault(by.source, []).append(role)
    multipliers = asdict(report.forward)
    forward = table_of(*multipliers, title="forward multipliers")
    forward.add_row(
        *(_over_rule(value, getattr(report.rules.forward, n)) for n, value in multipliers.items())
    )
    console = Console(highlight=False)
    for part in (roles, forward, Text(LEGEND, style="dim")):
        console.print(part)
        console.print()
    _print_listing(console, "sources", {s: ", ".join(of) for s, of in sources.items()})
    _print_listing(console, "options", report.parameterization.model_dump())


def _over_rule(value: float | None, rule: str) -> Text:
    """A setting, over the rule that gave it."""
    if value is None:
        value, rule = 1.0, "gain"
    if len(rule) > LONG_RULE:
        rule = rule.replace("/(", "\n/(")
    return Text.assemble(number(value), "\n", (rule if value else "0", "dim"))


def _print_listing(console: Console, title: str, lines: dict[str, Any]) -> None:
    """Names and what they stand for, one a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        # As YAML writes it.
        word = f"{value:g}" if isinstance(value, float) else str(value)
        table.add_row(f"  {name}", word.lower() if isinstance(value, bool) else word)
    console.print(Text(title, style="bold"), table, sep="\n")
