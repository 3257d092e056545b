"""Options that several commands share."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from proxytune.cli.streams import encodes_all
from proxytune.config.base import Report
from proxytune.home import ADDRESS, DEFAULT_HOME, HOME, STORAGE, TRACKING_URI
from proxytune.patience import Patience

Command = TypeVar("Command", bound=Callable[..., Any])

YAML_FILE = click.Path(dir_okay=False, path_type=Path)
MODEL_FILE = click.Path(path_type=Path)
MODEL_HELP = "A target's YAML file, or a model's config.json or its folder."

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


def print_json(result: Report | Sequence[Report]) -> None:
    """The one document of a --json command: a report, or a list of reports."""
    document: object = (
        result.document() if isinstance(result, Report) else [one.document() for one in result]
    )
    ascii_only = not encodes_all(sys.stdout)
    click.echo(json.dumps(document, indent=2, ensure_ascii=ascii_only, allow_nan=False))


def warn(remark: str) -> None:
    """Says what a user should know, but nothing failed for."""
    click.echo(f"Warning: {remark}", err=True)
