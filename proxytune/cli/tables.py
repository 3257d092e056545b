"""What commands print, as tables that lose nothing in a narrow terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

SETTINGS = {
    "init_std": "init std",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "eps": "eps",
    "multiplier": "multiplier",
}
LEGEND = """\
m_in, m_d, m_L, m_h: fan-in, d_model, n_layers, head_dim over those of the base
s(r) = (1 + √r)/2 for the repeat factor r = n_heads/n_kv_heads"""

LONG_RULE = 11
"""Characters of a rule that go on one line."""


def print_settings(document: dict[str, Any], title: str) -> None:
    """Settings or multipliers by role, each over the rule that gave it; then the forward ones."""
    rules = document["rules"]
    roles = table_of("role", *SETTINGS.values(), left=("role",), title=title)
    sources: dict[str, list[str]] = {}
    for role, settings in document["roles"].items():
        by = rules["roles"][role]
        roles.add_row(role, *(_over_rule(settings[name], by[name]) for name in SETTINGS))
        sources.setdefault(by["source"], []).append(role)
    forward = table_of(*document["forward"], title="forward multipliers")
    forward.add_row(
        *(_over_rule(value, rules["forward"][n]) for n, value in document["forward"].items())
    )
    console = Console(highlight=False)
    for part in (roles, forward, Text(LEGEND, style="dim")):
        console.print(part)
        console.print()
    _print_listing(console, "sources", {s: ", ".join(of) for s, of in sources.items()})
    _print_listing(console, "options", document["parameterization"])


def print_trials(document: dict[str, Any]) -> None:
    """A study's trials, best first, then those without a value."""
    console = Console(highlight=False)
    console.print(f"study {document['study']}: {document['state']}")
    trials = document["trials"]
    if not trials:
        return
    flops = document["flops"]
    console.print(
        f"{flops['trials']:.3g} FLOPs of trials, {flops['confirmation']:.3g} of confirmation"
    )
    names = list(trials[0]["params"])
    table = table_of("trial", "state", "validation loss", *names, "seconds", left=("state",))
    for trial in sorted(trials, key=lambda t: (t["value"] is None, t["value"], t["number"])):
        table.add_row(
            str(trial["number"]),
            trial["state"],
            _loss(trial["value"]),
            *(_number(trial["params"][name]) for name in names),
            f"{trial['seconds']:.1f}",
        )
    console.print(table)


def print_studies(studies: list[dict[str, Any]]) -> None:
    """One line a study."""
    headings = ("study", "state", "trials", "best", "parameterization", "proxy")
    table = table_of(*headings, left=headings)
    for study in studies:
        table.add_row(
            study["study"],
            study["state"],
            f"{study['finished']}/{study['trials']}",
            _loss(study["best"]),
            study["parameterization"],
            study["proxy"],
        )
    Console().print(table)


def print_check(check: dict[str, Any]) -> None:
    """The check run's losses and its verdict."""
    table = table_of("step", "proxy loss", "target loss", title="check run")
    for row in check["losses"]:
        table.add_row(str(row["step"]), _loss(row["proxy"]), _loss(row["target"]))
    console = Console(highlight=False)
    console.print(table)
    for criterion in check["criteria"]:
        mark = "[green]pass[/]" if criterion["passed"] else "[red]FAIL[/]"
        console.print(f"{mark}  {criterion['name']}: {criterion['reason']}")
    console.print(f"verdict: [bold]{check['verdict']}[/]")


def print_cost(cost: dict[str, Any]) -> None:
    """What tuning cost, and what share of the run that is."""
    told = f"tuning cost {cost['study_flops']:.3g} FLOPs"
    if cost["share"] is not None:
        told += f", {percent(cost['share'])} of the run's {cost['target_flops']:.3g}"
    Console(highlight=False).print(told)


def percent(share: float) -> str:
    """A share in two digits, however small."""
    return f"{100 * share:.2g}%"


def print_plan(document: dict[str, Any]) -> None:
    """Proxies with their costs, and which to take."""
    console = Console(highlight=False)
    target, machine, runs = document["target"], document["machine"], document["runs"]
    planned = "" if target["flops"] is None else f", a run of {target['flops']:.3g} FLOPs"
    console.print(f"target {target['name']}: {target['parameters']:.3g} parameters{planned}")
    console.print(
        f"a study: {runs['trials']} trials and {runs['confirmation']} runs of confirmation, "
        f"{runs['tokens']:.3g} tokens each"
    )
    console.print(
        f"here: {machine['packs_at_once']} packs at once on {machine['device']}; "
        f"measured at d_model {machine['measured']}, the others by their FLOPs\n"
    )
    headings = ("width", "depth", "params", "trial FLOPs", "study FLOPs", "of the run")
    table = table_of(*headings, "MB a trial", "pack", "hours")
    for index, proxy in enumerate(document["proxies"]):
        share = proxy["share"]
        table.add_row(
            str(proxy["shape"]["d_model"]),
            str(proxy["shape"]["n_layers"]),
            *(f"{proxy[name]:.2g}" for name in ("parameters", "trial_flops", "study_flops")),
            "–" if share is None else percent(share),
            f"{proxy['member_memory'] / 1e6:.0f}",
            str(proxy["pack_size"]),
            f"{proxy['hours']:.2f}" if proxy["hours"] < 10 else f"{proxy['hours']:.0f}",
            style="bold" if index == document["suggestion"]["proxy"] else None,
        )
    console.print(table)
    console.print(f"rule: {document['rule']}")
    console.print(f"suggested: {document['suggestion']['reason']}\n")


def table_of(*headings: str, left: tuple[str, ...] = (), title: str | None = None) -> Table:
    """An empty table. What does not fit its column goes on below it; nothing is cut."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in headings:
        # Names of hyperparameters break as words do.
        table.add_column(
            heading.replace("_", "_\n"),
            justify="left" if heading in left else "right",
            overflow="fold",
            no_wrap=heading == "role",
        )
    return table


def _print_listing(console: Console, title: str, lines: dict[str, Any]) -> None:
    """Names and what they stand for, one a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in lines.items():
        # As YAML writes it.
        word = f"{value:g}" if isinstance(value, float) else str(value)
        table.add_row(f"  {name}", word.lower() if isinstance(value, bool) else word)
    console.print(Text(title, style="bold"), table, sep="\n")


def _over_rule(value: float | None, rule: str) -> Text:
    """A setting, over the rule that gave it."""
    if value is None:
        value, rule = 1.0, "gain"
    if len(rule) > LONG_RULE:
        rule = rule.replace("/(", "\n/(")
    return Text.assemble(_number(value), "\n", (rule if value else "0", "dim"))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def print_slopes(document: dict[str, Any]) -> None:
    """Slopes that are not as expected, by parameterization, and how many are."""
    console = Console(highlight=False)
    for label, roles in document["slopes"].items():
        told = [
            (role, quantity, slope)
            for role, quantities in roles.items()
            for quantity, slope in quantities.items()
        ]
        table = table_of("role", "quantity", "slope", "expected", left=("role", "quantity"))
        for role, quantity, slope in told:
            mark = "" if slope["ok"] else "[red]"
            cells = (_signed(slope["slope"]), _signed(slope["expected"]))
            table.add_row(mark + role, mark + quantity, *(mark + cell for cell in cells))
        console.print(table)
        good = sum(slope["ok"] for *_, slope in told)
        console.print(
            f"{label} along {document['axis']}: [bold]{document['verdict'][label]}[/] "
            f"({good} of {len(told)} slopes within {document['tolerance']:g} of the expected)\n"
        )


def print_evidence(document: dict[str, Any]) -> None:
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


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"
