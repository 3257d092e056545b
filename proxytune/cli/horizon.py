"""Horizon rules, as a table of multipliers with their formulas."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from proxytune.cli.tables import number, over_rule, table_of

if TYPE_CHECKING:
    from proxytune.config.hyperparameters import BaseHyperparameters
    from proxytune.scaling.horizon import Horizon

SETTINGS = {
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "eps": "eps",
    "one_minus_beta1": "1 − β₁",
    "one_minus_beta2": "1 − β₂",
}
LEGEND = {
    "m_S": ("steps", "optimizer steps"),
    "m_B": ("batch", "tokens per step"),
    "m_D": ("tokens", "tokens in all"),
    "m_N": ("parameters", "parameters"),
}


def print_horizon(at: "Horizon", before: "BaseHyperparameters | None" = None) -> None:
    """Multipliers over the rules that gave them; with a study's values, also what comes of it."""
    table = table_of("", *SETTINGS.values(), left=("",), title=f"horizon: {at.rule}")
    if before is not None:
        table.add_row("of the study", *_values(before))
    factors = (over_rule(getattr(at, name), at.formulas[name]) for name in at.formulas)
    table.add_row("multiplier", *factors)
    if at.values is not None:
        table.add_row("for the run", *_values(at.values))
    console = Console(highlight=False)
    console.print(table)
    for symbol, (ratio, words) in LEGEND.items():
        value = getattr(at.ratios, ratio)
        if value is not None:
            told = f"{symbol} = {number(value)}: {words} of the run over those of the study"
            console.print(Text(told, style="dim"))
    console.print(Text("1 − β stays within 1e-4 and 0.5", style="dim"))
    for source in at.sources:
        console.print(Text(f"source: {source}"))
    console.print()


def _values(of: "BaseHyperparameters") -> tuple[str, ...]:
    values = (of.learning_rate, of.weight_decay, of.eps, 1 - of.beta1, 1 - of.beta2)
    return tuple(number(value) for value in values)
