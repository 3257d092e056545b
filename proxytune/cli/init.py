"""proxytune init: a study and a target to start from."""

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Write a small study and a target into FOLDER (default: this one) to start from."""
    from proxytune.workflows.quickstart import write_quickstart

    study, target = write_quickstart(folder)
    click.echo(f"wrote {study} and {target}; next:\n")
    click.echo(f"  proxytune study create {shlex.quote(str(study))}")
    click.echo(f"  proxytune transfer --target {shlex.quote(str(target))}")
