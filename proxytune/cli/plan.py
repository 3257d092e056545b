"""proxytune plan: what proxies would cost, before anything runs."""

from pathlib import Path

import click

from proxytune.cli.options import YAML_FILE, as_json, home, print_json
from proxytune.cli.tables import print_plan
from proxytune.errors import InputError


@click.command()
@click.option("--target", required=True, type=YAML_FILE, help="The target's YAML file.")
@click.option("--study", type=YAML_FILE, help="Whose training, search and proxy are planned with.")
@click.option(
    "--share",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Percent of the target's run that tuning may cost.",
)
@click.option(
    "--hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Hours that a study may take here.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the suggested study to this new file.",
)
@as_json
@home
def plan(
    target: Path,
    study: Path | None,
    share: float,
    hours: float,
    write: Path | None,
    as_json: bool,
    home: Path,
) -> None:
    """Say what proxies of a few sizes would cost, and which one to take."""
    if write is not None:
        _require_new(write)
    from proxytune.workflows.plan import make_plan, study_yaml, write_study

    document = make_plan(home, target, study, share / 100, hours)
    if write is not None:
        write_study(document, write)
    if as_json:
        print_json(document)
        return
    print_plan(document)
    click.echo(f"wrote {write}" if write else study_yaml(document))


def _require_new(path: Path) -> None:
    if path.exists():
        raise InputError.of_field("--write", str(path), "is there already; name a new file")
    if not path.parent.is_dir():
        raise InputError.of_field("--write", str(path), f"there is no folder {path.parent}")
