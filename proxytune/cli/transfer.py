"""proxytune transfer: project onto a target, and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.export import print_export
from proxytune.cli.options import (
    MODEL_FILE,
    MODEL_HELP,
    address,
    as_json,
    print_json,
    stores,
)
from proxytune.cli.phases import shown_workspace
from proxytune.cli.settings import print_settings, print_warnings
from proxytune.cli.tables import loss, percent, table_of
from proxytune.exports.formats import FORMATS
from proxytune.targets.load import load_target

if TYPE_CHECKING:
    from proxytune.packs.pack import Evaluation
    from proxytune.plan.cost import Cost
    from proxytune.transfer.report import CheckReport, TransferReport
    from proxytune.workflows.workspace import Workspace

MARKS = {True: "[green]pass[/]", False: "[red]FAIL[/]", None: "[yellow]?[/]   "}


@click.command()
@click.option("--target", required=True, type=MODEL_FILE, help=MODEL_HELP)
@click.option("--study", "name", help="Default: the study completed last.")
@click.option("--no-check", is_flag=True, help="Stop after projecting.")
@click.option(
    "--for",
    "trainer",
    type=click.Choice(list(FORMATS)),
    help="Also write the settings as this trainer takes them: `proxytune export`.",
)
@address
@as_json
@stores
def transfer(
    target: Path,
    name: str | None,
    no_check: bool,
    trainer: str | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Project a study's best base hyperparameters onto a target, and check that they hold.

    Exits with 1 if the check fails.
    """
    load_target(target)  # tells its mistakes before anything heavy is loaded
    with shown_workspace(where) as (workspace, _):
        from proxytune.workflows.transfer import run_transfer

        report = run_transfer(
            target, name, workspace, check=not no_check, on_evaluation=tell_evaluation
        )
    show_transfer(report, workspace, as_json)
    if trainer is not None:
        from proxytune.workflows.exports import run_export

        print_export(run_export(target, trainer, report.study, workspace), err=as_json)
    if not report.passed:
        raise SystemExit(1)


def show_transfer(report: "TransferReport", workspace: "Workspace", as_json: bool) -> None:
    """Prints a transfer, with its check if there was one."""
    if as_json:
        print_json(report)
    else:
        chosen = report.selection.best.name
        print_settings(report, title=f"{report.name}: settings from {report.study}, {chosen}")
        _print_cost(report.cost)
        if report.check is not None:
            _print_check(report.check)
        click.echo(f"wrote {workspace.paths.transfer(report.study, report.name)}")


def tell_evaluation(which: str, evaluation: "Evaluation") -> None:
    """Says on stderr how a side of the check is doing."""
    loss = "diverged" if evaluation.diverged else f"loss {evaluation.validation_loss:.4f}"
    click.echo(f"check: {which} at step {evaluation.step}: {loss}", err=True)


def _print_check(check: "CheckReport") -> None:
    """The check run's losses and its verdict."""
    table = table_of("step", "proxy loss", "target loss", title="check run")
    for row in check.losses:
        table.add_row(str(row.step), loss(row.proxy), loss(row.target))
    console = Console(highlight=False)
    console.print(table)
    for criterion in check.criteria:
        console.print(f"{MARKS[criterion.passed]}  {criterion.name}: {criterion.reason}")
    if check.clipped.proxy is not None and check.clipped.target is not None:
        shares = f"proxy {check.clipped.proxy:.0%}, target {check.clipped.target:.0%}"
        console.print(f"clipped steps: {shares}")
    print_warnings(console, check.warnings)
    console.print(f"verdict: [bold]{check.verdict}[/]")


def _print_cost(cost: "Cost") -> None:
    """What tuning cost, and what share of the run that is."""
    told = f"tuning cost {cost.study_flops:.3g} FLOPs"
    if cost.share is not None:
        told += f", {percent(cost.share)} of the run's {cost.target_flops:.3g}"
    Console(highlight=False).print(told)
