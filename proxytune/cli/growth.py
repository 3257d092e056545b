"""proxytune study extend, enqueue and compare."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores
from proxytune.cli.phases import shown_workspace
from proxytune.cli.study import print_waiting, run_shown, show_study, workspace_of
from proxytune.cli.tables import interval, loss, number, table_of
from proxytune.errors import InputError

if TYPE_CHECKING:
    from proxytune.comparison.report import ComparedStudy, ComparisonReport

ROWS: "dict[str, Callable[[ComparedStudy], str]]" = {
    "state": lambda study: study.state,
    "width × depth": lambda study: f"{study.proxy.d_model} × {study.proxy.n_layers}",
    "rules": lambda study: study.parameterization,
    "trials": lambda study: str(study.finished),
    "FLOPs": lambda study: f"{study.flops:.3g}",
    "seconds": lambda study: f"{study.seconds:.0f}",
    "best in the search": lambda study: loss(study.best),
    "chosen, on fresh seeds": lambda study: loss(study.validation_loss),
}
"""What a comparison shows of each study."""


@click.command()
@click.argument("name")
@click.option("--trials", required=True, type=click.IntRange(1), help="How many more.")
@click.option(
    "--space",
    type=YAML_FILE,
    help="A wider space: the fields of search.space. Trials so far stay.",
)
@click.option("--no-run", is_flag=True, help="Only define them.")
@address
@as_json
@stores
def extend(
    name: str, trials: int, space: Path | None, no_run: bool, as_json: bool, **where: Any
) -> None:
    """Give a study more trials, run them, and select its best anew."""
    from proxytune.workflows.growth import extend_study
    from proxytune.workflows.studies import find_study

    with shown_workspace(where) as (workspace, display):
        report = extend_study(name, trials, workspace, space=space)
        if not no_run:
            report = run_shown(workspace, find_study(workspace, name), display)
    show_study(report, as_json)


@click.command()
@click.argument("name")
@click.option(
    "--set",
    "values",
    required=True,
    multiple=True,
    metavar="NAME=VALUE",
    help="A searched hyperparameter. Once for each; the sampler suggests the others.",
)
@as_json
@stores
def enqueue(name: str, values: tuple[str, ...], as_json: bool, **where: Any) -> None:
    """Have a study try a point next. `study run NAME` trains it."""
    from proxytune.workflows.growth import enqueue_points

    report = enqueue_points(name, dict(map(_value, values)), workspace_of(where))
    if as_json:
        print_json(report)
        return
    print_waiting(report)
    if report.waiting:
        click.echo(f"run it with: proxytune study run {name}")
    else:
        click.echo("nothing waits: it was tried before")


@click.command()
@click.argument("one")
@click.argument("other")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report and its picture; default: one in --home.",
)
@as_json
@stores
def compare(one: str, other: str, to: Path | None, as_json: bool, **where: Any) -> None:
    """Show two studies side by side."""
    from proxytune.workflows.growth import compare_studies

    workspace = workspace_of(where)
    report = compare_studies(one, other, workspace, to=to)
    if as_json:
        print_json(report)
    else:
        _print_comparison(report)
        click.echo(f"wrote {to or workspace.paths.comparison(one, other)}")


def _value(given: str) -> tuple[str, float]:
    name, _, value = given.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InputError.of_field("--set", given, "must be NAME=VALUE with a number") from None


def _print_comparison(report: "ComparisonReport") -> None:
    console = Console(highlight=False)
    one, other = report.studies
    table = table_of("", one.study, other.study, left=("",))
    for heading, tell in ROWS.items():
        table.add_row(heading, tell(one), tell(other))
    for moved in report.hyperparameters:
        table.add_row(moved.name, number(moved.one), number(moved.other))
    console.print(table)
    for difference in report.differences:
        console.print(f"{difference.field}: {difference.one} / {difference.other}", markup=False)
    if report.incomparable is not None:
        console.print(f"losses cannot be compared: {report.incomparable}")
    elif report.loss_difference is not None:
        told = interval(report.loss_difference, signed=True)
        console.print(
            f"{other.study} less {one.study}: {told} nats, over {len(report.seeds)} seeds"
        )
