"""Settings or multipliers of a shape, as tables."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxytune.cli.horizon import print_horizon
from proxytune.cli.tables import number, over_rule, table_of

if TYPE_CHECKING:
    from proxytune.config.target import NotModelled
    from proxytune.scaling.report import ScalingReport
    from proxytune.scaling.step_law import StepLaw

SETTINGS = {
    "init_std": "init std",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "eps": "eps",
    "multiplier": "multiplier",
}
LEGEND = """\
m_in, m_d, m_L, m_h: fan-in, d_model, n_layers, head_dim over those of the base
s(r) = (1 + √r)/2 for the repeat factor r = n_heads/n_kv_heads
a: min(1, √(fan-out/fan-in)) over that of the base (shape_init: spectral)
K and V in one matrix: as key and value; a tied table is an embedding"""


def print_settings(report: "ScalingReport", title: str) -> None:
    """Settings or multipliers by role, each over the rule that gave it; then the forward ones."""
    roles = table_of("role", *SETTINGS.values(), left=("role",), title=title)
    sources: dict[str, list[str]] = {}
    for role, settings in report.roles.items():
        if role == "kv" and "key" in report.roles:
            continue  # the same again, for models that have both in one matrix
        by = report.rules.roles[role]
        numbers = (over_rule(getattr(settings, n), getattr(by, n)) for n in SETTINGS)
        roles.add_row(role, *numbers)
        sources.setdefault(by.source, []).append(role)
    multipliers = asdict(report.forward)
    forward = table_of(*multipliers, title="forward multipliers")
    forward.add_row(
        *(over_rule(value, getattr(report.rules.forward, n)) for n, value in multipliers.items())
    )
    console = Console(highlight=False)
    for part in (roles, forward, Text(LEGEND, style="dim")):
        console.print(part)
        console.print()
    if report.horizon is not None:
        print_horizon(report.horizon, report.hyperparameters)
    if report.step_law is not None:
        _print_step_law(console, report.step_law)
    _print_listing(console, "sources", {s: ", ".join(of) for s, of in sources.items()})
    _print_listing(console, "options", report.parameterization.model_dump())
    print_not_modelled(console, report.not_modelled)
    print_warnings(console, report.warnings)


def _print_step_law(console: Console, law: "StepLaw") -> None:
    """A second opinion, and what to compare it with."""
    told = (
        f"to compare: {law.source}, fitted to many runs with one learning rate for all "
        f"parameters, has {number(law.learning_rate)} for {law.tokens:.3g} tokens in steps of "
        f"{law.batch:.3g}"
    )
    console.print(Text(told), Text(""), sep="\n")


def print_warnings(console: Console, warnings: Sequence[str]) -> None:
    """One line for each."""
    for line in warnings:
        console.print(Text(f"warning: {line}", style="bold yellow"))


def print_not_modelled(console: Console, items: "Sequence[NotModelled]") -> None:
    """What a target has that neither the rules nor a proxy represent; nothing if there is none."""
    if items:
        console.print(Text("not modelled", style="bold"))
    for item in items:
        console.print(Padding(Text(item.what), (0, 0, 0, 2)))


def _print_listing(console: Console, title: str, lines: dict[str, Any]) -> None:
    """Names and what they stand for, one a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        # As YAML writes it.
        word = f"{value:g}" if isinstance(value, float) else str(value)
        table.add_row(f"  {name}", word.lower() if isinstance(value, bool) else word)
    console.print(Text(title, style="bold"), table, sep="\n")
