"""proxytune verify: did a trainer really take the projected settings?"""

from pathlib import Path

import click

from proxytune.cli.options import as_json, print_json


@click.command()
@click.argument("groups", type=click.Path(path_type=Path), metavar="GROUPS.json")
@click.option(
    "--projection",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder that `proxytune export` wrote.",
)
@as_json
def verify(groups: Path, folder: Path, as_json: bool) -> None:
    """Compare what a trainer trains each parameter with, with what was projected.

    GROUPS.json holds what proxytune.trainer.describe(optimizer, model) returns before the first
    step. Exits with 1 if anything is off.
    """
    from proxytune.workflows.exports import run_verify

    report = run_verify(groups, folder)
    if as_json:
        print_json(report)
    else:
        for finding in report.findings:
            click.echo(finding.says)
        verdict = "as projected" if report.passed else "not as projected"
        click.echo(f"{report.parameters} parameters: {verdict}")
    if not report.passed:
        raise SystemExit(1)
