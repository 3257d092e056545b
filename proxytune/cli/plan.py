"""proxytune plan: what proxies would cost, before anything runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from proxytune.cli.horizon import print_horizon
from proxytune.cli.options import MODEL_FILE, MODEL_HELP, YAML_FILE, as_json, home, print_json
from proxytune.cli.phases import shown_workspace
from proxytune.cli.settings import print_not_modelled, print_warnings
from proxytune.cli.tables import percent, table_of
from proxytune.errors import InputError

if TYPE_CHECKING:
    from proxytune.plan.report import PlanReport


@click.command()
@click.option("--target", required=True, type=MODEL_FILE, help=MODEL_HELP)
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
    """Show what tuning on proxies of several sizes would cost, and suggest one."""
    if write is not None:
        _require_new(write)
    with shown_workspace({"home": home}) as (workspace, _):
        from proxytune.workflows.plan import make_plan, study_yaml, write_study

        report = make_plan(target, study, workspace, share=share / 100, hours=hours)
    if write is not None:
        write_study(report, write)
    if as_json:
        print_json(report)
        return
    _print_plan(report)
    click.echo(f"wrote {write}" if write else study_yaml(report))


def _require_new(path: Path) -> None:
    if path.exists():
        raise InputError.of_field("--write", str(path), "is there already; name a new file")
    if not path.parent.is_dir():
        raise InputError.of_field("--write", str(path), f"there is no folder {path.parent}")


def _print_plan(plan: "PlanReport") -> None:
    """Proxies with their costs, and which to take."""
    console = Console(highlight=False)
    target, machine, runs = plan.target, plan.machine, plan.runs
    planned = "" if target.flops is None else f", a run of {target.flops:.3g} FLOPs"
    console.print(f"target {target.name}: {target.parameters:.3g} parameters{planned}")
    print_not_modelled(console, target.not_modelled)
    console.print(
        f"a study: {runs.trials} trials and {runs.confirmation} runs of confirmation, "
        f"{runs.tokens:.3g} tokens each"
    )
    console.print(
        f"here: {machine.packs_at_once} packs at once on {machine.device}; "
        f"measured at d_model {machine.measured}, the others by their FLOPs\n"
    )
    headings = ("width", "depth", "params", "trial FLOPs", "study FLOPs", "of the run")
    table = table_of(*headings, "MB a trial", "pack", "hours")
    for index, proxy in enumerate(plan.proxies):
        table.add_row(
            str(proxy.shape.d_model),
            str(proxy.shape.n_layers),
            *(f"{n:.2g}" for n in (proxy.parameters, proxy.trial_flops, proxy.study_flops)),
            "–" if proxy.share is None else percent(proxy.share),
            f"{proxy.member_memory / 1e6:.0f}",
            str(proxy.pack_size),
            f"{proxy.hours:.2f}" if proxy.hours < 10 else f"{proxy.hours:.0f}",
            style="bold" if index == plan.suggestion.proxy else None,
        )
    console.print(table)
    console.print(f"rule: {plan.rule}")
    console.print(f"suggested: {plan.suggestion.reason}")
    console.print(f"tokens: {plan.target_tokens.advice}\n")
    if plan.horizon is not None:
        print_horizon(plan.horizon)
    print_warnings(console, plan.warnings)
