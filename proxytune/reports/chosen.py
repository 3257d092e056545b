"""Loss against each searched hyperparameter: the trials, and the point that was chosen."""

import math
import statistics
from collections.abc import Mapping, Sequence

from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from proxytune.config.search import Choices, SpaceEntry
from proxytune.packs.selection import Candidate, Selection
from proxytune.packs.trial import TrialRecord, TrialState, best_of
from proxytune.reports.style import BAND, CHOSEN, HEIGHT, LOSS, PROXY, QUIET

COLUMNS = 3
FAR = 4
"""Losses so many times as far above the best as the median trial are above the upper edge."""


def draw_losses(
    space: Mapping[str, SpaceEntry], trials: Sequence[TrialRecord], selection: Selection | None
) -> Figure:
    """One plot per hyperparameter, with one axis of losses.

    The band across is the chosen point's mean loss on fresh seeds, ± one standard error; the band
    upright is where its hyperparameter's optimum lies with a probability of 80 %.
    """
    columns = min(COLUMNS, len(space))
    rows = -(-len(space) // columns)
    figure = make_subplots(rows, columns, shared_yaxes="all", horizontal_spacing=0.04)
    top = _top(trials)
    for nth, (name, entry) in enumerate(space.items()):
        place = {"row": nth // columns + 1, "col": nth % columns + 1}
        for trace in _traces(name, trials, selection, top):
            figure.add_trace(trace.update(showlegend=nth == 0), **place)
        if selection is not None:
            _add_bands(figure, name, selection, place)
        figure.update_xaxes(
            title_text=name.replace("_", " "), type=_scale(entry), title_standoff=4, **place
        )
        if isinstance(entry, Choices):
            figure.update_xaxes(tickvals=sorted(entry.choices), **place)
    figure.update_yaxes(title_text=LOSS, col=1)
    if top is not None:
        low = min(t.value for t in trials if t.value is not None)
        figure.update_yaxes(range=[low - (top - low) / 15, top])
    return figure.update_layout(
        height=HEIGHT * rows, legend={"orientation": "h", "y": -0.16 / rows, "yanchor": "top"}
    )


def _scale(entry: SpaceEntry) -> str:
    if isinstance(entry, Choices):
        return "log" if min(entry.choices) > 0 and len(entry.choices) > 1 else "linear"
    return "log" if entry.log else "linear"


def _top(trials: Sequence[TrialRecord]) -> float | None:
    """The highest loss that is shown; None if no trial has one."""
    losses = [t.value for t in trials if t.value is not None]
    if not losses:
        return None
    best = min(losses)
    highest = min(max(losses), best + FAR * (statistics.median(losses) - best))
    return highest + (0.05 * (highest - best) or 0.01)


def _traces(
    name: str,
    trials: Sequence[TrialRecord],
    selection: Selection | None,
    top: float | None,
) -> list[Scatter]:
    """What is drawn of one hyperparameter."""
    states = {state: [t for t in trials if t.state is state] for state in TrialState}
    traces = [
        _trials(name, states[TrialState.COMPLETE], "trial", color=PROXY, symbol="circle"),
        _trials(
            name, states[TrialState.PRUNED], "stopped early", color=QUIET, symbol="circle-open"
        ),
        _diverged(name, states[TrialState.DIVERGED], top),
    ]
    if selection is not None:
        others = [c for c in selection.candidates[1:] if c.confirmed]
        traces += [
            _candidates(name, others, "on fresh seeds", color=QUIET, symbol="diamond", size=9),
            _candidates(name, [selection.best], "chosen", color=CHOSEN, symbol="star", size=15),
        ]
    elif (best := best_of(trials)) is not None:
        traces.append(
            _trials(name, [best], "lowest so far", color=CHOSEN, symbol="star-open", size=14)
        )
    return [trace for trace in traces if trace.x]


def _trials(
    name: str, trials: Sequence[TrialRecord], label: str, *, color: str, symbol: str, size: int = 7
) -> Scatter:
    shown = [t for t in trials if t.value is not None]
    return Scatter(
        x=[t.params[name] for t in shown],
        y=[t.value for t in shown],
        text=[f"trial {t.number}" for t in shown],
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": size},
        name=label,
        legendgroup=label,
    )


def _diverged(name: str, trials: Sequence[TrialRecord], top: float | None) -> Scatter:
    """At the upper edge, since they have no loss."""
    return Scatter(
        x=[t.params[name] for t in trials],
        y=[1.0 if top is None else top] * len(trials),
        text=[f"trial {t.number}: diverged" for t in trials],
        hoverinfo="text+x",
        mode="markers",
        marker={"color": CHOSEN, "symbol": "x", "size": 8},
        name="diverged",
        legendgroup="diverged",
        cliponaxis=False,
    )


def _candidates(
    name: str, candidates: Sequence[Candidate], label: str, *, color: str, symbol: str, size: int
) -> Scatter:
    """Mean losses on fresh seeds, with their standard errors."""
    shown = [c for c in candidates if math.isfinite(c.mean)]
    return Scatter(
        x=[getattr(c.hyperparameters, name) for c in shown],
        y=[c.mean for c in shown],
        error_y={"type": "data", "array": [c.standard_error or 0.0 for c in shown]},
        text=[c.name for c in shown],
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": size, "line": {"width": 1}},
        name=label,
        legendgroup=label,
    )


def _add_bands(figure: Figure, name: str, selection: Selection, place: Mapping[str, int]) -> None:
    error, mean = selection.standard_error, selection.validation_loss
    if error is not None:
        figure.add_hrect(
            y0=mean - error, y1=mean + error, fillcolor=BAND, line_width=0, layer="below", **place
        )
    if name in selection.interval:
        low, high = selection.interval[name]
        figure.add_vrect(
            x0=low, x1=high, fillcolor=BAND, line_width=0, layer="below", opacity=0.5, **place
        )
