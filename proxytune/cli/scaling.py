"""proxytune scaling: only the rules, as a table."""

from pathlib import Path
from typing import Any, get_args

import click

from proxytune.cli.options import YAML_FILE, as_json, print_json
from proxytune.cli.settings import print_settings
from proxytune.config.load import load_shape, require_scalable, validate
from proxytune.config.parameterization import KvRuleName, Parameterization, ParameterizationName


@click.command()
@click.option("--base", required=True, type=YAML_FILE, help="Target, study or shape file.")
@click.option("--target", required=True, type=YAML_FILE, help="Target, study or shape file.")
@click.option(
    "--parameterization",
    "name",
    type=click.Choice(get_args(ParameterizationName)),
    default="gqa-mup",
    show_default=True,
)
@click.option("--kv-rule", type=click.Choice(get_args(KvRuleName)), help="Default: paper.")
@click.option("--wd-width-exponent", type=float, help="1, 0.5 or 0; default: 1.")
@click.option("--embedding-lr-width-exponent", type=float, help="0 or -0.5; default: 0.")
@click.option("--depth-alpha", type=float, help="1 or 0.5; default: 1.")
@as_json
def scaling(base: Path, target: Path, as_json: bool, **options: Any) -> None:
    """Print the multipliers of all settings from BASE to TARGET."""
    # Not before it is needed: other verbs start sooner without it.
    from proxytune.scaling.report import multiplier_report

    given = {name: value for name, value in options.items() if value is not None}
    parameterization = validate(Parameterization, given, "option")
    shapes = load_shape(base), load_shape(target)
    require_scalable(*shapes, target)
    report = multiplier_report(*shapes, parameterization)
    if as_json:
        print_json(report)
    else:
        print_settings(report, title=f"{parameterization.name}: multipliers on the base")
