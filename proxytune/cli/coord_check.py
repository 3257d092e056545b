"""proxytune coord-check: does the parameterization hold on this model?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console

from proxytune.cli.options import YAML_FILE, address, as_json, print_json, stores
from proxytune.cli.phases import shown_workspace
from proxytune.cli.tables import table_of
from proxytune.config.axis import AxisName, WidthGrows
from proxytune.config.coordinates import coordinate_spec
from proxytune.config.load import load_study

if TYPE_CHECKING:
    from proxytune.coordinates.report import Control, CoordinateReport, Slope


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
@click.option(
    "--width-grows", type=click.Choice(get_args(WidthGrows)), help="Along width. Default: heads."
)
@click.option("--late", is_flag=True, help="Check a whole run, with its schedule and decay.")
@click.option("--steps", type=int, help="AdamW steps before updates are measured.")
@click.option("--seeds", type=int, help="Seeds that slopes are averaged over.")
@click.option("--learning-rate", type=float, help="Base learning rate.")
@address
@as_json
@stores
def coord_check(
    axis: str,
    labels: str,
    study: Path | None,
    values: str | None,
    width_grows: str | None,
    late: bool,
    steps: int | None,
    seeds: int | None,
    learning_rate: float | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Train a few steps at several shapes, and compare every slope with the theory.

    Exits with 1 if the first parameterization fails, or if its control does not: the same with a
    wrong rate for K and V. Other parameterizations are for comparison.
    """
    document = _of_study(study, axis) if study else {}
    given = {
        "steps": steps,
        "seeds": seeds,
        "values": values and values.split(","),
        "width_grows": width_grows,
        "late": late or None,
    }
    document |= {name: value for name, value in given.items() if value is not None}
    if learning_rate is not None:
        rate = {"learning_rate": learning_rate}
        document["hyperparameters"] = document.get("hyperparameters", {}) | rate
    document |= {"axis": axis, "parameterizations": labels.split(",")}
    spec = coordinate_spec(document)
    with shown_workspace(where) as (kept, _):
        # Not before the input is known to be good: this loads torch.
        from proxytune.workflows.coordinates import run_coordinates

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
    shared |= study.model_fields_set & {"execution", "trainer"}
    # What it leaves open, the check finds out as a study does.
    document = study.model_dump(include=shared, exclude_unset=True)
    return document | {"name": f"{study.name}-{axis}"}


def _print_slopes(report: "CoordinateReport") -> None:
    """By parameterization, the slopes that are not as expected, and one line for the rest."""
    console = Console(highlight=False)
    for label, roles in report.slopes.items():
        told = [
            (role, quantity, slope)
            for role, quantities in roles.items()
            for quantity, slope in quantities.items()
        ]
        missed = [row for row in told if not row[-1].ok]
        if missed:
            table = table_of(
                *("role", "quantity", "slope", "expected", "verdict"), left=("role", "quantity")
            )
            for role, quantity, slope in missed:
                found = f"[red]{slope.fault or _found(slope)}[/]"
                table.add_row(role, quantity, found, _expected(slope), slope.verdict)
            console.print(table)
        console.print(
            f"{label} along {report.axis}: [bold]{report.verdict[label]}[/] "
            f"({len(told) - len(missed)} of {len(told)} slopes within {report.tolerance:g} of the "
            "expected)"
        )
    if report.control is not None:
        _print_control(console, report.axis, report.control)


def _print_control(console: Console, axis: str, control: "Control") -> None:
    found = control.slope.fault or _found(control.slope)
    if control.caught:
        console.print(f"control, K/V rate × {axis}: fails, as it must ({found})")
    else:
        advice = "" if control.slope.fault else "; use more seeds"
        console.print(
            f"control, K/V rate × {axis}: [red]not found[/] ({found}), so the check cannot be "
            f"trusted{advice}"
        )


def _found(slope: "Slope") -> str:
    """A slope with its interval."""
    if slope.slope is None or slope.low is None or slope.high is None:
        return "–"
    return rf"{slope.slope:+.2f} \[{slope.low:+.2f}, {slope.high:+.2f}]"


def _expected(slope: "Slope") -> str:
    """The expected slope, or the range of it."""
    low, high = f"{slope.expected_low:+.2f}", f"{slope.expected_high:+.2f}"
    return low if low == high else f"{low} to {high}"
