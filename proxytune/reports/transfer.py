"""A transfer on a page: the target's settings, and the check that they hold."""

from plotly.graph_objects import Figure, Scatter

from proxytune.reports.page import Drawing, Page, Part, Section, Table, Text, Warnings
from proxytune.reports.style import LOSS, PROXY, TARGET, styled
from proxytune.reports.words import loss, number, shape_in_words
from proxytune.transfer.report import CheckReport, TransferReport

MARKS = {True: "pass", False: "FAIL", None: "?"}


def transfer_page(transfer: TransferReport, footer: str) -> Page:
    """The page of a transfer alone."""
    point = ", ".join(
        f"{name} {number(value)}" for name, value in transfer.selection.point.model_dump().items()
    )
    projected = Section("What was projected", (Text(f"{transfer.selection.best.name}: {point}."),))
    title = f"Transfer of {transfer.study} to {transfer.name}"
    name = f"{transfer.study}-{transfer.name}"
    sections = (transfer_section(transfer), projected)
    return Page(name, title, verdict_sentence(transfer), sections, footer)


def transfer_section(transfer: TransferReport) -> Section:
    """A transfer with its check, if there was one."""
    check = transfer.check
    parts: list[Part] = [Text(verdict_sentence(transfer))]
    warnings = (*transfer.warnings, *(check.warnings if check else ()))
    if warnings:
        parts.append(Warnings(warnings))
    if check is not None:
        parts += _check(transfer.name, check)
    parts += [_roles(transfer), _forward(transfer)]
    if transfer.not_modelled:
        told = "; ".join(item.what for item in transfer.not_modelled)
        parts.append(Text(f"Neither the rules nor a proxy represent: {told}."))
    return Section(f"Transfer to {transfer.name}", tuple(parts))


def verdict_sentence(transfer: TransferReport) -> str:
    """What became of a transfer, and what tuning cost beside the target's run."""
    verdict = (
        "not checked"
        if transfer.check is None
        else f"the check of {shape_in_words(transfer.check.shape)} says {transfer.check.verdict}"
    )
    cost = transfer.cost
    share = "" if cost.share is None else f", {100 * cost.share:.2g} % of the target's run"
    return (
        f"{transfer.name} ({shape_in_words(transfer.target)}; {transfer.parameters:,} "
        f"parameters): {verdict}. Tuning cost {cost.study_flops:.3g} FLOPs{share}."
    )


def _check(name: str, check: CheckReport) -> list[Part]:
    rows = tuple((c.name, MARKS[c.passed], c.reason) for c in check.criteria)
    caption = "Validation loss of both, with the same base hyperparameters. Shaded: warm-up."
    return [
        Table(("criterion", "verdict", "reason"), rows),
        *_bracket(check),
        Drawing(f"check-{name.replace('.', '-')}", check_figure(check), caption),
    ]


def _bracket(check: CheckReport) -> list[Part]:
    """The target's last losses around the projected learning rate."""
    if check.bracket is None:
        return []
    factors = sorted(check.bracket.losses, key=float)
    losses = (loss(check.bracket.losses[factor]) for factor in factors)
    headings = ("learning rate", *(f"× {factor}" for factor in factors))
    marked = Text("The target at its learning rate, and at rates around it:")
    return [marked, Table(headings, (("target's last loss", *losses),))]


def check_figure(check: CheckReport) -> Figure:
    """Validation loss of proxy and target against steps."""
    figure = Figure()
    for side, color in (("proxy", PROXY), ("target", TARGET)):
        figure.add_trace(
            Scatter(
                x=[row.step for row in check.losses],
                y=[getattr(row, side) for row in check.losses],
                mode="lines+markers",
                line={"color": color},
                name=side,
            )
        )
    figure.add_vrect(
        x0=0, x1=check.warmup_steps, fillcolor="gray", opacity=0.12, line_width=0, layer="below"
    )
    figure.update_layout(xaxis_title="step", yaxis_title=LOSS)
    return styled(figure)


def _roles(transfer: TransferReport) -> Table:
    """Settings by role, each over the rule that gave it."""
    rows = []
    for role, settings in transfer.roles.items():
        by = transfer.rules.roles[role]
        rows.append(
            (
                str(role),
                *(
                    f"{number(getattr(settings, name))}\n{getattr(by, name)}"
                    for name in ("init_std", "lr", "weight_decay", "eps", "multiplier")
                ),
                by.source,
            )
        )
    headings = ("role", "init std", "learning rate", "weight decay", "eps", "multiplier", "source")
    return Table(headings, tuple(rows))


def _forward(transfer: TransferReport) -> Table:
    names = ("embedding", "attention", "residual", "logits")
    values = (
        f"{number(getattr(transfer.forward, name))}\n{getattr(transfer.rules.forward, name)}"
        for name in names
    )
    return Table(("forward multiplier", *names), (("value", *values),))
