"""proxytune study: define, run, show."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.progress import StudyProgress
from proxytune.cli.tables import print_studies, print_trials

if TYPE_CHECKING:
    from proxytune.search.study import Study
    from proxytune.workflows.project import Project


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
    project = _project(where)
    made = project.create(file)
    _show(made if no_run else _run(project, made, as_json), as_json)


@study.command()
@click.argument("name")
@address
@as_json
@stores
def run(name: str, as_json: bool, **where: Any) -> None:
    """Run a study, or go on with one that was stopped."""
    project = _project(where)
    _show(_run(project, project.study(name), as_json), as_json)


@study.command()
@click.argument("name")
@as_json
@stores
def show(name: str, as_json: bool, **where: Any) -> None:
    """Show a study and its trials."""
    _show(_project(where).study(name), as_json)


@study.command("list")
@as_json
@stores
def list_(as_json: bool, **where: Any) -> None:
    """List the studies."""
    studies = [_summary(found) for found in _project(where).studies()]
    if as_json:
        print_json(studies)
    else:
        print_studies(studies)


@study.command()
@click.argument("name")
@as_json
@stores
def sync(name: str, as_json: bool, **where: Any) -> None:
    """Give MLflow and Parquet the trials that they lack."""
    sinks = [
        {"sink": str(one.sink), "trials": one.recorded, "added": one.added}
        for one in _project(where).sync(name)
    ]
    if as_json:
        print_json({"study": name, "sinks": sinks})
    else:
        for sink in sinks:
            click.echo(f"{sink['sink']}: {sink['trials']} trials, {sink['added']} of them added")


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
    _project(where).export(name, path)
    click.echo(f"wrote {path}")


@study.command()
@click.argument("name")
@click.confirmation_option("--yes", prompt="Delete the study and all its trials?")
@stores
def delete(name: str, **where: Any) -> None:
    """Delete a study from every store."""
    _project(where).delete(name)
    click.echo(f"deleted {name}")


def _project(where: dict[str, Any]) -> "Project":
    from proxytune.workflows.project import Project

    return Project(**where, remark=warn)


def _run(project: "Project", study: "Study", quiet: bool) -> "Study":
    finished = [trial for trial in study.trials() if trial.state.finished]
    with StudyProgress(study.spec, finished, quiet) as progress:
        return project.run(study.name, progress)


def _show(study: "Study", as_json: bool) -> None:
    trials = study.trials()
    document = {
        "study": study.name,
        "state": study.state,
        "spec": study.spec.model_dump(mode="json"),
        "pack_size": study.pack_size,
        "flops": study.flops(trials),
        "selection": study.selection,
        "trials": [
            trial.model_dump(mode="json", exclude={"study", "hyperparameters", "curve"})
            for trial in trials
        ],
    }
    if as_json:
        print_json(document)
    else:
        print_trials(document)


def _summary(study: "Study") -> dict[str, Any]:
    trials = study.trials()
    values = [trial.value for trial in trials if trial.value is not None]
    proxy = study.spec.proxy
    return {
        "study": study.name,
        "state": study.state,
        "trials": study.spec.search.trials,
        "finished": sum(trial.state.finished for trial in trials),
        "best": min(values, default=None),
        "parameterization": study.spec.parameterization.name,
        "proxy": f"width {proxy.d_model}, depth {proxy.n_layers}, repeat {proxy.repeat}",
    }
