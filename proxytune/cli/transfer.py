"""proxytune transfer: project onto a target, and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.settings import print_settings
from proxytune.cli.tables import loss, percent, table_of
from proxytune.config.load import load_target

if TYPE_CHECKING:
    from proxytune.packs.pack import Evaluation
    from proxytune.plan.cost import Cost
    from proxytune.transfer.report import CheckReport

MARKS = {True: "[green]pass[/]", False: "[red]FAIL[/]", None: "[yellow]?[/]   "}


@click.command()
@click.option("--target", required=True, type=YAML_FILE, help="The target's YAML file.")
@click.option("--study", "name", help="Default: the study completed last.")
@click.option("--no-check", is_flag=True, help="Stop after projecting.")
@address
@as_json
@stores
def transfer(target: Path, name: str | None, no_check: bool, as_json: bool, **where: Any) -> None:
    """Project a study's best base hyperparameters onto a target, and check that they hold.

    Exits with 1 if the check fails.
    """
    load_target(target)  # tells its mistakes before anything heavy is loaded
    from proxytune.workflows.transfer import run_transfer
    from proxytune.workflows.workspace import Workspace

    workspace = Workspace(**where, remark=warn)
    report = run_transfer(target, name, workspace, check=not no_check, on_evaluation=_tell)
    if as_json:
        print_json(report)
    else:
        chosen = report.selection.trial
        print_settings(
            report, title=f"{report.name}: settings from {report.study}, trial {chosen}"
        )
        _print_cost(report.cost)
        if report.check is not None:
            _print_check(report.check)
        click.echo(f"wrote {workspace.paths.transfer(report.study, report.name)}")
    if not report.passed:
        raise SystemExit(1)


def _tell(which: str, evaluation: "Evaluation") -> None:
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
    console.print(f"verdict: [bold]{check.verdict}[/]")


def _print_cost(cost: "Cost") -> None:
    """What tuning cost, and what share of the run that is."""
    told = f"tuning cost {cost.study_flops:.3g} FLOPs"
    if cost.share is not None:
        told += f", {percent(cost.share)} of the run's {cost.target_flops:.3g}"
    Console(highlight=False).print(told)
