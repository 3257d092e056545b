"""proxytune coord-check: does the parameterization hold on this model?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores, warn
from proxytune.cli.tables import table_of
from proxytune.config.axis import AxisName
from proxytune.config.coordinates import coordinate_spec
from proxytune.config.load import load_study

if TYPE_CHECKING:
    from proxytune.coordinates.report import CoordinateReport


@click.command("coord-check")
@click.option("--axis", required=True, type=click.Choice(get_args(AxisName)))
@click.option(
    "--parameterization",
    "labels",
    default="gqa-mup",
    show_default=True,
    help="One or several, with commas; options as in gqa-mup:kv_rule=none.",
)
@click.option("--study", type=YAML_FILE, help="Whose proxy and data; default: a small decoder.")
@click.option("--values", help="Multiples of the proxy, or repeat factors, with commas.")
@click.option("--steps", type=int, help="AdamW steps before updates are measured.")
@click.option("--seeds", type=int, help="Seeds that slopes are averaged over.")
@click.option("--learning-rate", type=float, help="Base learning rate, constant.")
@address
@as_json
@stores
def coord_check(
    axis: str,
    labels: str,
    study: Path | None,
    values: str | None,
    steps: int | None,
    seeds: int | None,
    learning_rate: float | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Train a few steps at several shapes, and compare every slope with the theory.

    Exits with 1 if the first parameterization fails; the others are for comparison.
    """
    document = _of_study(study, axis) if study else {}
    given = {"steps": steps, "seeds": seeds, "values": values and values.split(",")}
    document |= {name: value for name, value in given.items() if value is not None}
    if learning_rate is not None:
        rate = {"learning_rate": learning_rate}
        document["hyperparameters"] = document.get("hyperparameters", {}) | rate
    document |= {"axis": axis, "parameterizations": labels.split(",")}
    spec = coordinate_spec(document)
    # Not before the input is known to be good: these load torch.
    from proxytune.workflows.coordinates import run_coordinates
    from proxytune.workflows.workspace import Workspace

    kept = Workspace(**where, remark=warn)
    report = run_coordinates(spec, kept)
    if as_json:
        print_json(report)
    else:
        _print_slopes(report)
        click.echo(f"wrote {kept.paths.coordinates(spec.name)}")
    if not report.passed:
        raise SystemExit(1)


def _of_study(path: Path, axis: str) -> dict[str, Any]:
    """What a study shares with a coordinate check."""
    study = load_study(path)
    shared = {"proxy", "base", "data", "training", "hyperparameters", "seed"}
    # Where a study says nothing, the check decides by itself.
    shared |= study.model_fields_set & {"execution"}
    return study.model_dump(include=shared) | {"name": f"{study.name}-{axis}"}


def _print_slopes(report: "CoordinateReport") -> None:
    """Slopes that are not as expected, by parameterization, and how many are."""
    console = Console(highlight=False)
    for label, roles in report.slopes.items():
        told = [
            (role, quantity, slope)
            for role, quantities in roles.items()
            for quantity, slope in quantities.items()
        ]
        table = table_of("role", "quantity", "slope", "expected", left=("role", "quantity"))
        for role, quantity, slope in told:
            mark = "" if slope.ok else "[red]"
            cells = (_signed(slope.slope), _signed(slope.expected))
            table.add_row(mark + role, mark + quantity, *(mark + cell for cell in cells))
        console.print(table)
        good = sum(slope.ok for *_, slope in told)
        console.print(
            f"{label} along {report.axis}: [bold]{report.verdict[label]}[/] "
            f"({good} of {len(told)} slopes within {report.tolerance:g} of the expected)\n"
        )


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"
