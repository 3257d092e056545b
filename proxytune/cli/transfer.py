"""proxytune transfer: project onto a target, and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.settings import print_settings
from proxytune.cli.tables import loss, percent, table_of
from proxytune.config.load import load_target
from proxytune.scaling.report import ScalingReport

if TYPE_CHECKING:
    from proxytune.packs.pack import Evaluation

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
    document = run_transfer(workspace, target, name, not no_check, _tell)
    if as_json:
        print_json(document)
    else:
        chosen = document["selection"]["trial"]
        settings = {key: document[key] for key in ScalingReport.model_fields}
        print_settings(
            ScalingReport.model_validate(settings),
            title=f"{document['name']}: settings from {document['study']}, trial {chosen}",
        )
        _print_cost(document["cost"])
        if document["check"] is not None:
            _print_check(document["check"])
        click.echo(f"wrote {workspace.paths.transfer(document['study'], document['name'])}")
    if document["check"] is not None and document["check"]["verdict"] != "pass":
        raise SystemExit(1)


def _tell(which: str, evaluation: "Evaluation") -> None:
    loss = "diverged" if evaluation.diverged else f"loss {evaluation.validation_loss:.4f}"
    click.echo(f"check: {which} at step {evaluation.step}: {loss}", err=True)


def _print_check(check: dict[str, Any]) -> None:
    """The check run's losses and its verdict."""
    table = table_of("step", "proxy loss", "target loss", title="check run")
    for row in check["losses"]:
        table.add_row(str(row["step"]), loss(row["proxy"]), loss(row["target"]))
    console = Console(highlight=False)
    console.print(table)
    for criterion in check["criteria"]:
        mark = MARKS[criterion["passed"]]
        console.print(f"{mark}  {criterion['name']}: {criterion['reason']}")
    console.print(f"verdict: [bold]{check['verdict']}[/]")


def _print_cost(cost: dict[str, Any]) -> None:
    """What tuning cost, and what share of the run that is."""
    told = f"tuning cost {cost['study_flops']:.3g} FLOPs"
    if cost["share"] is not None:
        told += f", {percent(cost['share'])} of the run's {cost['target_flops']:.3g}"
    Console(highlight=False).print(told)
