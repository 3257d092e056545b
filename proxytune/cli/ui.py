"""proxytune ui: the trials, in the MLflow UI."""

from typing import Any

import click

from proxytune.cli.options import stores


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@stores
def ui(port: int, **where: Any) -> None:
    """Serve the MLflow UI for this store on 127.0.0.1."""
    from proxytune.records.ui import serve
    from proxytune.workflows.workspace import Workspace

    raise SystemExit(serve(Workspace(**where).mlflow_uri, port))
