"""proxytune doctor: what is there, and what is missing."""

from pathlib import Path

import click
from rich.console import Console

from proxytune.cli.options import as_json, print_json
from proxytune.doctor import examine


@click.command()
@click.option(
    "--home",
    envvar="PROXYTUNE_HOME",
    default=".proxytune",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of everything that is kept.",
)
@as_json
def doctor(home: Path, as_json: bool) -> None:
    """Say what this machine has, what is missing, and how to fix it."""
    report = examine(home)
    if as_json:
        print_json(report)
    else:
        console = Console(highlight=False)
        for finding in report.findings:
            mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
            fix = "" if finding.ok else f"  fix: {finding.mend}"
            console.print(f"{mark}  {finding.name:<12}{finding.found}{fix}")
    raise SystemExit(0 if report.ok else 1)
