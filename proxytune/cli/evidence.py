"""proxytune evidence: does the optimum stay put?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.tables import table_of

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
        _print_evidence(document)
        click.echo(f"wrote {kept.paths.evidence(document['evidence'])}")


def _tell(points: "Sequence[Point]", done: int, of: int) -> None:
    losses = [point.loss for point in points if point.loss is not None]
    best = f"best loss {min(losses):.4f}" if losses else "all diverged"
    first = points[0]
    click.echo(
        f"[{done}/{of}] {first.parameterization}, {first.coordinate}, seed {first.seed}: {best}",
        err=True,
    )


def _print_evidence(document: dict[str, Any]) -> None:
    """Optimum, loss and regret by shape, and the drift in all."""
    console = Console(highlight=False)
    for label, finding in document["parameterizations"].items():
        headings = ("shape", "log2 optimum", "loss there", "regret")
        table = table_of(*headings, left=("shape",), title=label)
        for shape in finding["regret"]:
            cells = (
                finding[name][shape] for name in ("log2_optimum", "loss_at_optimum", "regret")
            )
            table.add_row(shape, *(_interval(cell) for cell in cells))
        console.print(table)
        console.print(f"the optimum moves {_interval(finding['drift_octaves'])} octaves in all\n")
    for pair in document["paired"]:
        table = table_of(
            "shape",
            "loss difference",
            left=("shape",),
            title=f"{pair['one']} less {pair['other']}",
        )
        for shape, difference in pair["loss_difference"].items():
            table.add_row(shape, _interval(difference))
        console.print(table)


def _interval(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]".replace(
        "[", r"\["
    )
