"""The page of an evidence run: whether the optimum stays put along an axis."""

import statistics
from collections.abc import Sequence

from plotly.colors import sample_colorscale
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from proxytune.evidence.report import CurvePoint, EvidenceReport, ParameterizationFindings
from proxytune.intervals import Equivalence
from proxytune.reports.page import Drawing, Page, Section, Table
from proxytune.reports.style import HEIGHT, LOSS, styled
from proxytune.reports.words import interval, number

CURVES = (
    "Mean validation loss over seeds, one line per shape; bars: ± one standard error. Star: the "
    "lowest point of the fitted curve. Values at which a seed diverged are left out."
)


def evidence_page(report: EvidenceReport, footer: str) -> Page:
    """The page of a run's report."""
    sections = (
        Section("Curves", (Drawing("curves", evidence_figure(report), CURVES),)),
        Section("Drift", (_drift(report),)),
        Section("Optimum and regret", (_by_shape(report),)),
        *([Section("Compared", (_paired(report),))] if report.paired else []),
    )
    title = f"Evidence {report.evidence}"
    return Page(report.evidence, title, _answer(report), sections, footer)


def _answer(report: EvidenceReport) -> str:
    """By parameterization, how far the optimum moves per doubling."""
    told = [f"{label}: {_moves(found)}" for label, found in report.parameterizations.items()]
    seeds = f"{report.n_seeds} seed{'s'[: report.n_seeds != 1]}"
    what = report.hyperparameter.replace("_", " ")
    axis = "repeat factor" if report.axis == "repeat" else report.axis
    return (
        f"How far the optimal {what} moves per doubling of the {axis}, in octaves "
        f"({seeds}, 95 %): {'; '.join(told)}."
    )


def _moves(found: ParameterizationFindings) -> str:
    return interval(found.drift_per_doubling, signed=True)


def evidence_figure(report: EvidenceReport) -> Figure:
    """One plot per parameterization, one line per shape."""
    labels = list(report.parameterizations)
    figure = make_subplots(1, len(labels), shared_yaxes="all", subplot_titles=labels)
    for column, found in enumerate(report.parameterizations.values(), 1):
        for trace in _lines(found):
            first = column == 1 and trace.mode != "markers"
            figure.add_trace(trace.update(showlegend=first), row=1, col=column)
        figure.update_xaxes(
            type="log", title_text=f"base {report.hyperparameter.replace('_', ' ')}", col=column
        )
    figure.update_yaxes(title_text=LOSS, col=1)
    if (top := _top(report)) is not None:
        figure.update_yaxes(range=top)
    return styled(figure.update_layout(height=HEIGHT + 40))


def _lines(found: ParameterizationFindings) -> list[Scatter]:
    shapes = list(found.curves)
    at = [nth / max(len(shapes) - 1, 1) * 0.85 for nth in range(len(shapes))]
    traces = []
    for shape, color in zip(shapes, sample_colorscale("Viridis", at), strict=True):
        points = [point for point in found.curves[shape] if None not in point.loss]
        traces.append(
            Scatter(
                x=[point.value for point in points],
                y=[_mean(point) for point in points],
                error_y={"type": "data", "array": [_error(point) for point in points]},
                mode="lines+markers",
                line={"color": color},
                marker={"size": 4},
                name=shape,
                legendgroup=shape,
            )
        )
        traces.append(
            Scatter(
                x=[found.optimum[shape]],
                y=[found.loss_at_optimum[shape].value],
                mode="markers",
                marker={"symbol": "star", "size": 14, "color": color, "line": {"width": 1}},
                name=f"{shape}: optimum",
                legendgroup=shape,
            )
        )
    return traces


def _finite(point: CurvePoint) -> list[float]:
    return [value for value in point.loss if value is not None]


def _mean(point: CurvePoint) -> float:
    return statistics.fmean(_finite(point))


def _error(point: CurvePoint) -> float:
    losses = _finite(point)
    return statistics.stdev(losses) / len(losses) ** 0.5 if len(losses) > 1 else 0.0


def _top(report: EvidenceReport) -> list[float] | None:
    """What is shown of the losses: those near the optima."""
    optima = [
        loss.value
        for found in report.parameterizations.values()
        for loss in found.loss_at_optimum.values()
        if loss.value is not None
    ]
    if not optima:
        return None
    spread = max(optima) - min(optima) + 0.2
    return [min(optima) - spread / 6, max(optima) + 0.75 * spread]


def _drift(report: EvidenceReport) -> Table:
    rows = tuple(
        (
            label,
            interval(found.drift_octaves, signed=True),
            _moves(found),
            _told(found.drift_equivalence),
        )
        for label, found in report.parameterizations.items()
    )
    return Table(("parameterization", "octaves", "octaves per doubling", "stays put"), rows)


def _told(equivalence: Equivalence | None) -> str:
    if equivalence is None:
        return "not judged"
    return f"{equivalence.verdict} (±{equivalence.margin:g})"


def _by_shape(report: EvidenceReport) -> Table:
    rows = tuple(
        (
            label,
            shape,
            number(found.optimum[shape]),
            "at the edge of the grid" if found.optimum_at_edge_of_grid[shape] else "",
            interval(found.loss_at_optimum[shape]),
            interval(found.regret[shape], signed=True),
        )
        for label, found in report.parameterizations.items()
        for shape in found.curves
    )
    optimum = f"optimal {report.hyperparameter.replace('_', ' ')}"
    headings: Sequence[str] = ("parameterization", "shape", optimum, "", "loss there", "regret")
    return Table(tuple(headings), rows)


def _paired(report: EvidenceReport) -> Table:
    rows = tuple(
        (f"{pair.one} less {pair.other}", shape, interval(pair.loss_difference[shape], True))
        for pair in report.paired
        for shape in pair.loss_difference
    )
    return Table(("parameterizations", "shape", "loss at the optima"), rows)
