"""proxytune transfer: project onto a target, and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxytune.cli.options import YAML_FILE, as_json, print_json, stores, warn
from proxytune.cli.tables import print_check, print_cost, print_settings

if TYPE_CHECKING:
    from proxytune.packs.pack import Evaluation


@click.command()
@click.option("--target", required=True, type=YAML_FILE, help="The target's YAML file.")
@click.option("--study", "name", help="Default: the study completed last.")
@click.option("--no-check", is_flag=True, help="Stop after projecting.")
@as_json
@stores
def transfer(target: Path, name: str | None, no_check: bool, as_json: bool, **where: Any) -> None:
    """Project a study's best base hyperparameters onto a target, and check that they hold.

    Exits with 1 if the check fails.
    """
    from proxytune.workflows.project import Project

    project = Project(**where, remark=warn)
    document = project.transfer(target, name, not no_check, _tell)
    if as_json:
        print_json(document)
    else:
        chosen = document["selection"]["trial"]
        print_settings(
            document,
            title=f"{document['name']}: settings from {document['study']}, trial {chosen}",
        )
        print_cost(document["cost"])
        if document["check"] is not None:
            print_check(document["check"])
        click.echo(f"wrote {project.transfer_folder(document)}")
    if document["check"] is not None and document["check"]["verdict"] != "pass":
        raise SystemExit(1)


def _tell(which: str, evaluation: "Evaluation") -> None:
    loss = "diverged" if evaluation.diverged else f"loss {evaluation.validation_loss:.4f}"
    click.echo(f"check: {which} at step {evaluation.step}: {loss}", err=True)
