"""proxytune report: a result as one HTML page."""

from pathlib import Path
from typing import Any

import click

from proxytune.cli.options import as_json, print_json, stores
from proxytune.cli.phases import shown_workspace


@click.command()
@click.argument("what", metavar="STUDY|FILE.json")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HTML file to write; default: the result's name, in the current folder.",
)
@as_json
@stores
def report(what: str, to: Path | None, as_json: bool, **where: Any) -> None:
    """Write one HTML page for colleagues: of a study, or of a report's file.

    A study's page has its transfers, too. A file is the projection.json of a transfer, the
    evidence.json of an evidence run or the comparison.json of two studies. The page needs no
    network.
    """
    with shown_workspace(where) as (workspace, _):
        from proxytune.workflows.reports import run_report

        written = run_report(what, workspace, to=to)
    if as_json:
        print_json(written)
    else:
        click.echo(written.answer)
        click.echo(f"wrote {written.file}")
