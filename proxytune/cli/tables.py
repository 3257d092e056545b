"""What commands print, as tables."""

from typing import Any

from rich.console import Console
from rich.table import Table

SETTINGS = {
    "init_std": "init std",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "eps": "eps",
    "multiplier": "multiplier",
}


def print_settings(document: dict[str, Any], title: str) -> None:
    """Settings or multipliers by role, each over the rule that gave it; then the forward ones."""
    rules = document["rules"]
    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column("role")
    for heading in SETTINGS.values():
        table.add_column(heading, justify="right")
    table.add_column("source")
    for role, settings in document["roles"].items():
        by = rules["roles"][role]
        cells = [_cell(settings[name], by[name]) for name in SETTINGS]
        table.add_row(role, *cells, by["source"])
    forward = Table(title="forward multipliers", title_justify="left", show_lines=True)
    for name in document["forward"]:
        forward.add_column(name, justify="right")
    forward.add_row(
        *(_cell(value, rules["forward"][n]) for n, value in document["forward"].items())
    )
    console = Console()
    console.print(table)
    console.print(forward)
    chosen = document["parameterization"]
    console.print("options: " + ", ".join(f"{name} {value}" for name, value in chosen.items()))


def print_trials(document: dict[str, Any]) -> None:
    """A study's trials, best first, then those without a value."""
    console = Console()
    console.print(f"study {document['study']}: {document['state']}")
    trials = document["trials"]
    if not trials:
        return
    names = list(trials[0]["params"])
    table = Table()
    for heading in ("trial", "state", "validation loss", *names, "seconds"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    for trial in sorted(trials, key=lambda t: (t["value"] is None, t["value"], t["number"])):
        table.add_row(
            str(trial["number"]),
            trial["state"],
            _number(trial["value"]),
            *(_number(trial["params"].get(name)) for name in names),
            f"{trial['seconds']:.1f}",
        )
    console.print(table)


def print_studies(studies: list[dict[str, Any]]) -> None:
    """One line a study."""
    table = Table()
    for heading in ("study", "state", "trials", "best", "parameterization", "proxy"):
        table.add_column(heading)
    for study in studies:
        table.add_row(
            study["study"],
            study["state"],
            f"{study['finished']}/{study['trials']}",
            _number(study["best"]),
            study["parameterization"],
            study["proxy"],
        )
    Console().print(table)


def print_check(check: dict[str, Any]) -> None:
    """The check run's losses and its verdict."""
    table = Table(title="check run: validation loss", title_justify="left")
    for heading in ("step", "proxy", "target"):
        table.add_column(heading, justify="right")
    for row in check["losses"]:
        table.add_row(str(row["step"]), _number(row["proxy"]), _number(row["target"]))
    console = Console()
    console.print(table)
    for criterion in check["criteria"]:
        mark = "[green]pass[/]" if criterion["passed"] else "[red]FAIL[/]"
        console.print(f"{mark}  {criterion['name']}: {criterion['reason']}", highlight=False)
    console.print(f"verdict: [bold]{check['verdict']}[/]")


def _cell(value: float | None, rule: str) -> str:
    return "1 (gain)" if value is None else f"{_number(value)}\n[dim]{rule}[/]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"
