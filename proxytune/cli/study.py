"""proxytune study: define, run, show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, patience, print_json, stores, warn
from proxytune.cli.progress import StudyProgress
from proxytune.cli.tables import loss, number, table_of
from proxytune.config.load import load_study

if TYPE_CHECKING:
    from proxytune.search.report import StudyReport, StudySummary
    from proxytune.search.study import Study
    from proxytune.workflows.workspace import Workspace


@click.group()
def study() -> None:
    """Search the best base hyperparameters on small proxies."""


@study.command()
@click.argument("file", type=YAML_FILE)
@click.option("--no-run", is_flag=True, help="Only define the study.")
@address
@as_json
@stores
def create(file: Path, no_run: bool, as_json: bool, **where: Any) -> None:
    """Define the study of FILE, run it, and show the result."""
    load_study(file)  # tells its mistakes before anything heavy is loaded
    from proxytune.workflows.studies import create_study

    workspace = _workspace(where)
    made = create_study(workspace, file)
    _show(made.report() if no_run else _run(workspace, made, as_json), as_json)


@study.command()
@click.argument("name")
@address
@as_json
@stores
def run(name: str, as_json: bool, **where: Any) -> None:
    """Run a study, or resume one that was stopped."""
    from proxytune.workflows.studies import find_study

    workspace = _workspace(where)
    _show(_run(workspace, find_study(workspace, name), as_json), as_json)


@study.command()
@click.argument("name")
@as_json
@stores
def show(name: str, as_json: bool, **where: Any) -> None:
    """Show a study and its trials."""
    _show(_workspace(where).study(name).report(), as_json)


@study.command("list")
@as_json
@stores
def list_(as_json: bool, **where: Any) -> None:
    """List the studies."""
    from proxytune.workflows.studies import find_studies

    studies = [found.summary() for found in find_studies(_workspace(where))]
    if as_json:
        print_json(studies)
    else:
        _print_studies(studies)


@study.command()
@click.argument("name")
@as_json
@stores
def sync(name: str, as_json: bool, **where: Any) -> None:
    """Add missing trials to MLflow and Parquet."""
    from proxytune.workflows.studies import sync_study

    report = sync_study(_workspace(where), name)
    if as_json:
        print_json(report)
    else:
        for one in report.sinks:
            click.echo(f"{one.sink}: {one.trials} trials, {one.added} of them added")


@study.command()
@click.argument("name")
@click.option(
    "--to",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that ends in .csv, .json or .parquet.",
)
@stores
def export(name: str, path: Path, **where: Any) -> None:
    """Write a study's trials to a file."""
    from proxytune.workflows.studies import export_study

    export_study(_workspace(where), name, path)
    click.echo(f"wrote {path}")


@study.command()
@click.argument("name")
@click.confirmation_option("--yes", prompt="Delete the study and all its trials?")
@stores
def delete(name: str, **where: Any) -> None:
    """Delete a study from every store."""
    from proxytune.workflows.studies import remove_study

    remove_study(_workspace(where), name)
    click.echo(f"deleted {name}")


def _workspace(where: dict[str, Any]) -> "Workspace":
    from proxytune.workflows.workspace import Workspace

    return Workspace(**where, remark=warn, patience=patience())


def _run(workspace: "Workspace", study: "Study", quiet: bool) -> "StudyReport":
    from proxytune.workflows.studies import continue_study

    finished = [trial for trial in study.trials() if trial.state.finished]
    with StudyProgress(study.spec, finished, quiet) as progress:
        return continue_study(workspace, study, progress)


def _show(study: "StudyReport", as_json: bool) -> None:
    if as_json:
        print_json(study)
    else:
        print_trials(study)


def print_trials(study: "StudyReport") -> None:
    """A study's trials, best first, then those without a value."""
    console = Console(highlight=False)
    console.print(f"study {study.study}: {study.state}")
    if not study.trials:
        return
    console.print(
        f"{study.flops.trials:.3g} FLOPs of trials, {study.flops.confirmation:.3g} of confirmation"
    )
    names = list(study.trials[0].params)
    table = table_of("trial", "state", "validation loss", *names, "seconds", left=("state",))
    for trial in sorted(study.trials, key=lambda t: (t.value is None, t.value or 0.0, t.number)):
        table.add_row(
            str(trial.number),
            trial.state,
            loss(trial.value),
            *(number(trial.params[name]) for name in names),
            f"{trial.seconds:.1f}",
        )
    console.print(table)


def _print_studies(studies: Sequence["StudySummary"]) -> None:
    """One line per study."""
    headings = ("study", "state", "trials", "best", "parameterization", "proxy")
    table = table_of(*headings, left=headings)
    for study in studies:
        table.add_row(
            study.study,
            study.state,
            f"{study.finished}/{study.trials}",
            loss(study.best),
            study.parameterization,
            study.proxy,
        )
    Console().print(table)
