"""proxytune ui: the trials, in the MLflow UI or in optuna-dashboard."""

from typing import Any

import click

from proxytune.cli.options import stores


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--dashboard",
    is_flag=True,
    help="optuna-dashboard instead, over Optuna's storage; needs the extra `dashboard`.",
)
@stores
def ui(port: int, dashboard: bool, **where: Any) -> None:
    """Serve the MLflow UI for this store on 127.0.0.1."""
    from proxytune.workflows.workspace import Workspace

    workspace = Workspace(**where)
    if dashboard:
        from proxytune.records.dashboard import serve_dashboard

        serve_dashboard(workspace.optuna, port)
        return
    from proxytune.records.ui import serve

    raise SystemExit(serve(workspace.mlflow_uri, port))
