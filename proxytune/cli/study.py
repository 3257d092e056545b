"""proxytune study: define, run, show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from proxytune.cli.options import YAML_FILE, address, as_json, patience, print_json, stores, warn
from proxytune.cli.phases import PhaseDisplay, shown_workspace
from proxytune.cli.progress import StudyProgress
from proxytune.cli.selection import print_selection
from proxytune.cli.tables import loss, setting, table_of
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

    with shown_workspace(where) as (workspace, display):
        made = create_study(workspace, file)
        report = made.report() if no_run else run_shown(workspace, made, display)
    show_study(report, as_json)


@study.command()
@click.argument("name")
@address
@as_json
@stores
def run(name: str, as_json: bool, **where: Any) -> None:
    """Run a study, or resume one that was stopped."""
    from proxytune.workflows.studies import find_study

    with shown_workspace(where) as (workspace, display):
        report = run_shown(workspace, find_study(workspace, name), display)
    show_study(report, as_json)


@study.command()
@click.argument("name")
@as_json
@stores
def show(name: str, as_json: bool, **where: Any) -> None:
    """Show a study and its trials."""
    show_study(workspace_of(where).study(name).report(), as_json)


@study.command("list")
@as_json
@stores
def list_(as_json: bool, **where: Any) -> None:
    """List the studies."""
    from proxytune.workflows.studies import find_studies

    studies = [found.summary() for found in find_studies(workspace_of(where))]
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

    with shown_workspace(where) as (workspace, _):
        report = sync_study(workspace, name)
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

    export_study(workspace_of(where), name, path)
    click.echo(f"wrote {path}")


@study.command()
@click.argument("name")
@click.confirmation_option("--yes", prompt="Delete the study and all its trials?")
@stores
def delete(name: str, **where: Any) -> None:
    """Delete a study from every store."""
    from proxytune.workflows.studies import remove_study

    remove_study(workspace_of(where), name)
    click.echo(f"deleted {name}")


def workspace_of(where: dict[str, Any]) -> "Workspace":
    from proxytune.workflows.workspace import Workspace

    return Workspace(**where, remark=warn, patience=patience())


def run_shown(workspace: "Workspace", study: "Study", display: PhaseDisplay) -> "StudyReport":
    from proxytune.workflows.studies import continue_study

    finished = [trial for trial in study.trials() if trial.state.finished]
    return continue_study(workspace, study, StudyProgress(study.spec, finished, display))


def show_study(study: "StudyReport", as_json: bool) -> None:
    if as_json:
        print_json(study)
    else:
        print_trials(study)


def print_trials(study: "StudyReport") -> None:
    """What a study is of, its trials, best first, and what they led to."""
    console = Console(highlight=False)
    console.print(f"study {study.study}: {study.state}")
    for name, entry in study.spec.search.space.items():
        console.print(f"searched: {name}, {entry.text}", markup=False)
    console.print(f"data: {_data(study)}", markup=False)
    print_waiting(study)
    if not study.trials:
        return
    console.print(
        f"{study.flops.trials:.3g} FLOPs of trials, {study.flops.confirmation:.3g} of confirmation"
    )
    names = list(study.trials[0].params)
    console.print(_trials(study, names))
    if study.selection is not None:
        print_selection(console, study.selection, names)
    _print_failures(study)


def _data(study: "StudyReport") -> str:
    """What a study trains on."""
    data = study.spec.data
    files = ", ".join(getattr(data, data.source)) if data.source else "Python's standard library"
    return files if study.corpus is None else f"{files} ({study.corpus.text})"


def _trials(study: "StudyReport", names: Sequence[str]) -> Table:
    """Trials, best first, then those without a value; the chosen one is marked.

    A chosen point between trials, which has no loss in the search, is on top.
    """
    has_bits = any(trial.bits_per_byte for trial in study.trials) and not study.spec.data.is_bytes
    bits = ["bits per byte"] if has_bits else []
    headings = ("trial", "state", "validation loss", *bits, *names, "seconds")
    table = table_of(*headings, left=("state",))
    selection = study.selection
    if selection is not None and selection.trial is None:
        point = (setting(name, getattr(selection.point, name)) for name in names)
        where = (selection.best.name, loss(None), *(loss(None) for _ in bits))
        table.add_row("*", *where, *point, "", style="bold")
    for trial in sorted(study.trials, key=lambda t: (t.value is None, t.value or 0.0, t.number)):
        chosen = selection is not None and trial.number == selection.trial
        table.add_row(
            f"{'* ' if chosen else ''}{trial.number}",
            trial.state,
            loss(trial.value),
            *(loss(trial.bits_per_byte) for _ in bits),
            *(setting(name, trial.params[name]) for name in names),
            f"{trial.seconds:.1f}",
            style="bold" if chosen else "",
        )
    return table


def print_waiting(study: "StudyReport") -> None:
    """The points that are tried next."""
    for point in study.waiting:
        told = ", ".join(f"{name} {setting(name, value)}" for name, value in point.items())
        click.echo(f"waits: {told}")


def _print_failures(study: "StudyReport") -> None:
    """Why trials failed, and where a user's own trainer wrote about them."""
    for trial in study.trials:
        if trial.reason is not None:
            click.echo(f"trial {trial.number} failed: {trial.reason}")
            if trial.log is not None:
                click.echo(f"its log: {trial.log}")
    if study.trials[0].log is not None:
        click.echo(f"logs of all trials: {Path(study.trials[0].log).parents[1]}/*/stderr.log")


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
