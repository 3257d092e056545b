"""proxytune scaling: only the rules, as a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from proxytune.cli.horizon import print_horizon
from proxytune.cli.options import MODEL_FILE, as_json, print_json
from proxytune.cli.settings import print_settings
from proxytune.config.experiment import in_style_of
from proxytune.config.horizon import HorizonSpec
from proxytune.config.load import require_scalable, validate
from proxytune.config.parameterization import (
    KvRuleName,
    Parameterization,
    ParameterizationName,
    ShapeInitName,
)
from proxytune.config.target import count_parameters
from proxytune.errors import InputError
from proxytune.targets.load import load_architecture, load_shape

if TYPE_CHECKING:
    from proxytune.scaling.horizon import RunRatios

HELP = "A target, study or shape file, or a model's config.json or its folder."
RATIO = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--base", type=MODEL_FILE, help=HELP)
@click.option("--target", type=MODEL_FILE, help=HELP)
@click.option(
    "--parameterization",
    "name",
    type=click.Choice(get_args(ParameterizationName)),
    default="gqa-mup",
    show_default=True,
)
@click.option("--kv-rule", type=click.Choice(get_args(KvRuleName)), help="Default: paper.")
@click.option("--wd-width-exponent", type=float, help="1, 0.5 or 0; default: 1.")
@click.option(
    "--embedding-lr-width-exponent", type=float, help="0 or -0.5; of sp 0 or 1; default: 0."
)
@click.option("--depth-alpha", type=float, help="1 or 0.5; default: 1.")
@click.option("--shape-init", type=click.Choice(get_args(ShapeInitName)), help="Default: fan_in.")
@click.option(
    "--horizon",
    "label",
    help="Rules for batch and length: sde, or some of batch=sqrt, power=P, decay=ema, "
    "decay=power-lines and beta2=tokens, with colons between them. Needs no --base and --target.",
)
@click.option("--tokens-ratio", type=RATIO, help="Tokens in all, target over proxy; default: 1.")
@click.option("--batch-ratio", type=RATIO, help="Tokens per step, likewise; default: 1.")
@click.option(
    "--parameters-ratio", type=RATIO, help="Likewise; default: 1, or that of --target and --base."
)
@as_json
def scaling(
    base: Path | None,
    target: Path | None,
    name: str,
    label: str | None,
    tokens_ratio: float | None,
    batch_ratio: float | None,
    parameters_ratio: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the multipliers of all settings from BASE to TARGET.

    BASE has the MLP, QK-norm and tying of TARGET where its file says nothing of them.
    """
    # Not before it is needed: other verbs start sooner without it.
    from proxytune.scaling.horizon import HorizonReport, horizon
    from proxytune.scaling.report import multiplier_report

    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    # As a label, so that what the parameterization does not take is refused even at its default.
    parameterization = validate(Parameterization, ":".join([name, *given]), "option")
    rules = None if label is None else validate(HorizonSpec, label, "--horizon")
    ratios = (tokens_ratio, batch_ratio, parameters_ratio)
    if rules is None and any(ratios):
        raise InputError("--tokens-ratio, --batch-ratio, --parameters-ratio: go with --horizon")
    if base is None or target is None:
        if rules is None or base is not target:
            raise InputError("--base and --target: both are needed, or --horizon alone")
        at = horizon(rules, _ratios(*ratios))
        if as_json:
            print_json(HorizonReport(horizon=at))
        else:
            print_horizon(at)
        return
    goal = load_architecture(target)
    origin = in_style_of(goal.shape, load_shape(base))
    require_scalable(origin, goal.shape, target)
    parameters = count_parameters(goal.shape, goal.not_modelled) / origin.count_parameters()
    known = _ratios(tokens_ratio, batch_ratio, parameters_ratio or parameters)
    report = multiplier_report(
        origin,
        goal.shape,
        parameterization,
        not_modelled=goal.not_modelled,
        at=horizon(rules, known) if rules else None,
    )
    if as_json:
        print_json(report)
    else:
        print_settings(report, title=f"{parameterization.name}: multipliers on the base")


def _ratios(tokens: float | None, batch: float | None, parameters: float | None) -> "RunRatios":
    """Those that are given; others are 1."""
    from proxytune.scaling.horizon import RunRatios

    tokens, batch = tokens or 1.0, batch or 1.0
    return RunRatios(
        steps=tokens / batch, batch=batch, tokens=tokens, parameters=parameters or 1.0
    )
