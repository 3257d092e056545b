"""proxytune evidence: does the optimum stay put?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.tables import print_evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxytune.evidence.source import Point


@click.group()
def evidence() -> None:
    """Measure whether the optimal base hyperparameter stays put."""


@evidence.command()
@click.argument("file", type=YAML_FILE)
@click.option("--fresh", is_flag=True, help="Forget what was trained under this name before.")
@address
@as_json
@stores
def run(file: Path, fresh: bool, as_json: bool, **where: Any) -> None:
    """Run the evidence of FILE, or go on with it, and show what it found."""
    from proxytune.workflows.evidence import run_evidence
    from proxytune.workflows.workspace import Workspace

    kept = Workspace(**where, remark=warn)
    document = run_evidence(kept, file, fresh, _tell)
    if as_json:
        print_json(document)
    else:
        print_evidence(document)
        click.echo(f"wrote {kept.paths.evidence(document['evidence'])}")


def _tell(points: "Sequence[Point]", done: int, of: int) -> None:
    losses = [point.loss for point in points if point.loss is not None]
    best = f"best loss {min(losses):.4f}" if losses else "all diverged"
    first = points[0]
    click.echo(
        f"[{done}/{of}] {first.parameterization}, {first.coordinate}, seed {first.seed}: {best}",
        err=True,
    )
