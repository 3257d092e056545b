"""proxytune check: a target's check run that is trained elsewhere."""

from pathlib import Path
from typing import Any

import click

from proxytune.cli.options import MODEL_FILE, address, as_json, stores
from proxytune.cli.phases import shown_workspace
from proxytune.cli.transfer import show_transfer, tell_evaluation
from proxytune.targets.load import load_target


@click.group()
def check() -> None:
    """Check a target by a run that you train elsewhere, such as a SLURM job."""


@check.command()
@click.argument("study")
@click.argument("target", type=MODEL_FILE)
@click.option(
    "--to",
    "file",
    default="settings.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@stores
def settings(study: str, target: Path, file: Path, **where: Any) -> None:
    """Write the settings.json of a check run of TARGET, after STUDY.

    docs/trainers.md has its fields, and what the run is to report.
    """
    load_target(target)  # tells its mistakes before anything heavy is loaded
    with shown_workspace(where) as (workspace, _):
        from proxytune.workflows.check import write_check_settings

        write_check_settings(study, target, file, workspace)
    click.echo(f"wrote {file}")


@check.command()
@click.argument("study")
@click.argument("target", type=MODEL_FILE)
@click.argument("metrics", type=click.Path(dir_okay=False, path_type=Path))
@address
@as_json
@stores
def record(study: str, target: Path, metrics: Path, as_json: bool, **where: Any) -> None:
    """Judge a check run of TARGET by the METRICS file that it wrote; trains the proxy here.

    Exits with 1 if the check fails.
    """
    load_target(target)
    with shown_workspace(where) as (workspace, _):
        from proxytune.workflows.check import record_check

        report = record_check(study, target, metrics, workspace, on_evaluation=tell_evaluation)
    show_transfer(report, workspace, as_json)
    if not report.passed:
        raise SystemExit(1)
