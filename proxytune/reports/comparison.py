"""The page of a comparison: two studies, what they cost and what they found."""

import json

from plotly.graph_objects import Figure, Scatter

from proxytune.comparison.report import ComparedStudy, ComparisonReport
from proxytune.reports.page import Drawing, Page, Section, Table, Text
from proxytune.reports.style import LOSS, PROXY, TARGET, styled
from proxytune.reports.words import duration, interval, loss, number, shape_in_words


def comparison_page(report: ComparisonReport, footer: str) -> Page:
    """The page of a comparison's report."""
    one, other = (side.study for side in report.studies)
    sections = [
        Section("Side by side", (_side_by_side(report),)),
        Section("Lowest loss by cost", (_history(report),)),
    ]
    if report.hyperparameters:
        sections.append(Section("Chosen hyperparameters", (_moved(report),)))
    if report.differences:
        sections.append(Section("Differences of the definitions", (_differences(report),)))
    title = f"Comparison of {one} and {other}"
    return Page(f"{one}-{other}", title, _answer(report), tuple(sections), footer)


def _answer(report: ComparisonReport) -> str:
    """Which of the two is better, and how sure that is."""
    one, other = (side.study for side in report.studies)
    if report.incomparable is not None:
        return f"The losses of {one} and {other} cannot be compared: {report.incomparable}."
    if report.loss_difference is None:
        return f"{one} and {other} have no fresh seed in common by which to compare their losses."
    seeds = len(report.seeds)
    return (
        f"The loss of {other}'s chosen point less that of {one}'s is "
        f"{interval(report.loss_difference, signed=True)} nats per token (95 %, paired over "
        f"{seeds} fresh seed{'s'[: seeds != 1]})."
    )


def _side_by_side(report: ComparisonReport) -> Table:
    sides = [_facts(side) for side in report.studies]
    rows = tuple((name, value, sides[1][name]) for name, value in sides[0].items())
    return Table(("", *(side.study for side in report.studies)), rows)


def _facts(side: ComparedStudy) -> dict[str, str]:
    error = side.standard_error
    return {
        "state": side.state,
        "proxy": shape_in_words(side.proxy),
        "parameterization": side.parameterization,
        "trials finished": str(side.finished),
        "cost": f"{side.flops:.3g} FLOPs",
        "time of trials, one after another": duration(side.seconds),
        "lowest loss of the search": loss(side.best),
        "chosen point, on fresh seeds": loss(side.validation_loss)
        + ("" if error is None else f" ± {error:.4f}"),
    }


def _history(report: ComparisonReport) -> Drawing | Text:
    """The lowest loss of each against what its trials had cost."""
    if not any(side.history for side in report.studies):
        return Text("No trial of either has a finite loss.")
    figure = Figure()
    for side, color in zip(report.studies, (PROXY, TARGET), strict=True):
        figure.add_trace(
            Scatter(
                x=[so_far.flops for so_far in side.history],
                y=[so_far.loss for so_far in side.history],
                mode="lines+markers",
                line={"color": color, "shape": "hv"},
                name=side.study,
            )
        )
    figure.update_layout(xaxis_title="FLOPs of trials that have ended", yaxis_title=LOSS)
    figure.update_xaxes(type="log")
    return Drawing("history", styled(figure), "The lowest loss so far; partly luck.")


def _moved(report: ComparisonReport) -> Table:
    rows = tuple(
        (
            moved.name,
            number(moved.one),
            number(moved.other),
            "–" if moved.octaves is None else f"{moved.octaves:+.2f}",
        )
        for moved in report.hyperparameters
    )
    return Table(("", *(side.study for side in report.studies), "octaves apart"), rows)


def _differences(report: ComparisonReport) -> Table:
    rows = tuple((one.field, _plain(one.one), _plain(one.other)) for one in report.differences)
    return Table(("field", *(side.study for side in report.studies)), rows)


def _plain(value: object) -> str:
    """As JSON writes it; a dash for what a definition does not have."""
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
