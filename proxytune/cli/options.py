"""Options that several commands share."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from proxytune.config.base import Report
from proxytune.home import ADDRESS, DEFAULT_HOME, HOME, STORAGE, TRACKING_URI
from proxytune.patience import Patience

Command = TypeVar("Command", bound=Callable[..., Any])

YAML_FILE = click.Path(dir_okay=False, path_type=Path)

as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document; everything else goes to stderr.",
)

address = click.option(
    "--address", envvar=ADDRESS, show_envvar=True, help="Ray cluster; default: a local one."
)


home = click.option(
    "--home",
    envvar=HOME,
    show_envvar=True,
    default=DEFAULT_HOME,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of everything that is kept.",
)


def stores(command: Command) -> Command:
    """--home, --storage and --tracking-uri: where studies and trials are kept."""
    for option in (
        click.option(
            "--tracking-uri",
            envvar=TRACKING_URI,
            show_envvar=True,
            help="MLflow; default: SQLite in --home.",
        ),
        click.option(
            "--storage",
            envvar=STORAGE,
            show_envvar=True,
            help="Optuna storage URL; default: a journal in --home.",
        ),
        home,
    ):
        command = option(command)
    return command


def patience() -> Patience:
    """How long stores are waited for: click's `obj`, for those who call `main` themselves."""
    return click.get_current_context().find_object(Patience) or Patience()


def print_json(result: Report | dict[str, Any] | Sequence[Report | dict[str, Any]]) -> None:
    """The one document of a --json command: a report, or a list of reports."""
    document: object = (
        _plain(result)
        if isinstance(result, (Report, dict))
        else [_plain(report) for report in result]
    )
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _plain(report: Report | dict[str, Any]) -> object:
    return report.document() if isinstance(report, Report) else report


def warn(remark: str) -> None:
    """Says what a user should know, but nothing failed for."""
    click.echo(f"Warning: {remark}", err=True)
