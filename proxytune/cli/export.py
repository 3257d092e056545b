"""proxytune export: a projection in the words of another trainer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxytune.cli.options import MODEL_FILE, MODEL_HELP, as_json, print_json, stores, warn
from proxytune.exports.formats import FORMATS
from proxytune.targets.load import load_target

if TYPE_CHECKING:
    from proxytune.exports.report import ExportReport


@click.command()
@click.option("--target", required=True, type=MODEL_FILE, help=MODEL_HELP)
@click.option("--study", "name", help="Default: the study completed last.")
@click.option("--for", "trainer", required=True, type=click.Choice(list(FORMATS)), help="Trainer.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write; default: beside the projection in --home.",
)
@click.option(
    "--folded",
    is_flag=True,
    help="For a model without forward multipliers (pytorch, huggingface).",
)
@as_json
@stores
def export(
    target: Path,
    name: str | None,
    trainer: str,
    folder: Path | None,
    folded: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Write a study's settings at a target as a trainer takes them.

    README.md in the folder says what to paste where.
    """
    load_target(target)  # tells its mistakes before anything heavy is loaded
    from proxytune.workflows.exports import run_export
    from proxytune.workflows.workspace import Workspace

    workspace = Workspace(**where, remark=warn)
    report = run_export(target, trainer, name, workspace, folder=folder, folded=folded)
    if as_json:
        print_json(report)
    else:
        print_export(report)


def print_export(report: "ExportReport", err: bool = False) -> None:
    """What was written, on stderr if `err`; what was dropped always goes there, as a warning."""
    for item in report.dropped:
        warn(f"dropped: {item.what}. {item.cost}")
    if not report.clip.plain:
        warn(f"clipping: {report.clip.says}")
    click.echo(f"wrote {report.folder}: {', '.join(report.files)}", err=err)
