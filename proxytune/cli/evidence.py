"""proxytune evidence: does the optimum stay put?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores
from proxytune.cli.phases import shown_workspace
from proxytune.cli.tables import interval, table_of
from proxytune.config.load import load_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxytune.evidence.report import EvidenceReport, ParameterizationFindings
    from proxytune.evidence.source import Point

STAYS = {
    "same": "it stays put (within {margin} octaves)",
    "different": "it moves (by more than {margin} octaves)",
    "undecided": "undecided (neither within {margin} octaves nor beyond)",
}


@click.group()
def evidence() -> None:
    """Measure whether the best base hyperparameters stay in place."""


@evidence.command()
@click.argument("file", type=YAML_FILE)
@click.option("--fresh", is_flag=True, help="Forget what was trained under this name before.")
@address
@as_json
@stores
def run(file: Path, fresh: bool, as_json: bool, **where: Any) -> None:
    """Run the evidence of FILE, or resume it, and show the findings."""
    load_evidence(file)  # tells its mistakes before anything heavy is loaded
    with shown_workspace(where) as (kept, _):
        from proxytune.workflows.evidence import run_evidence

        report = run_evidence(file, kept, fresh, _tell)
    if as_json:
        print_json(report)
    else:
        _print_evidence(report)
        click.echo(f"wrote {kept.paths.evidence(report.evidence)}")


def _tell(points: "Sequence[Point]", done: int, of: int) -> None:
    losses = [point.loss for point in points if point.loss is not None]
    best = f"best loss {min(losses):.4f}" if losses else "all diverged"
    first = points[0]
    click.echo(
        f"[{done}/{of}] {first.parameterization}, {first.coordinate}, seed {first.seed}: {best}",
        err=True,
    )


def _print_evidence(report: "EvidenceReport") -> None:
    """Optimum, loss and regret by shape, what they conclude, and the pairs compared."""
    console = Console(highlight=False)
    for label, finding in report.parameterizations.items():
        headings = ("shape", "log2 optimum", "loss there", "regret")
        table = table_of(*headings, left=("shape",), title=label)
        for shape in finding.regret:
            edge = " (edge of the grid)" if finding.optimum_at_edge_of_grid[shape] else ""
            table.add_row(
                shape,
                interval(finding.log2_optimum[shape], signed=True) + edge,
                interval(finding.loss_at_optimum[shape]),
                interval(finding.regret[shape], signed=True),
            )
        console.print(table)
        for line in _conclusions(finding):
            console.print(line)
        console.print()
    for pair in report.paired:
        title = f"{pair.one} less {pair.other}"
        table = table_of("shape", "loss difference", left=("shape",), title=title)
        for shape, difference in pair.loss_difference.items():
            table.add_row(shape, interval(difference, signed=True))
        console.print(table)
    console.print(f"Intervals are 95% t-intervals over {report.n_seeds} seeds, paired.")


def _conclusions(finding: "ParameterizationFindings") -> "Iterator[str]":
    """The drift, and the slope or the exponents where there are any."""
    yield f"the optimum moves {interval(finding.drift_octaves, signed=True)} octaves in all"
    drift = finding.drift_equivalence
    told = drift is not None and STAYS[drift.verdict].format(margin=drift.margin)
    yield (
        f"{interval(finding.drift_per_doubling, signed=True)} per doubling: "
        f"{told or 'an optimum is at the edge of the grid, so undecided'}"
    )
    if finding.power is not None:
        yield f"the optimum falls as tokens^−p, p = {interval(finding.power, signed=True)}"
    if finding.slope is not None:
        rules = (finding.rule_slopes or {}).items()
        predicted = "".join(f"; {name} predicts {slope:+.2f}" for name, slope in rules)
        yield f"slope over log2 s(r): {interval(finding.slope, signed=True)}{predicted}"
    if (exponents := finding.exponents) is not None:
        fast = {True: "fast", False: "not fast", None: "undecided"}[exponents.fast]
        yield (
            f"exponents: loss {interval(exponents.loss)}, optimum {interval(exponents.optimum)}; "
            f"transfer {fast}"
        )
