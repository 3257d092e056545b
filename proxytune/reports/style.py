"""How all figures look, and their colours."""

from plotly.graph_objects import Figure

PROXY, TARGET, CHOSEN, QUIET = "#3b6fb6", "#c8553d", "#c8553d", "#9aa5b1"
BAND = "rgba(200, 85, 61, 0.15)"
"""Of what is uncertain about the chosen point."""
LOSS = "validation loss (nats/token)"
HEIGHT = 420
"""Of a figure, in pixels, unless it needs more."""


def styled(figure: Figure) -> Figure:
    """The figure on white, without a title: the heading above it says what it is."""
    return figure.update_layout(
        template="plotly_white",
        title=None,
        margin={"l": 70, "r": 30, "t": 40, "b": 60},
        height=figure.layout.height or HEIGHT,
        font={"size": 13},
    )
