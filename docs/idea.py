"""Draws docs/idea.png, the idea in one picture (a sketch, without data): python docs/idea.py"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

PICTURE = Path(__file__).with_name("idea.png")
INK, PROXY, TARGET = "#333333", "#3b6fb6", "#c4562d"

RULES = (
    ("width × m", "η / m\nλ · m\nσ / √m"),
    ("depth × n", "branches / n"),
    ("repeat r", "K, V: η · (1 + √r) / 2"),
)
"""What grows in the target, and what the rules make of the settings."""


def draw(path: Path) -> None:
    """Four panels from left to right: proxies, rules, target, check."""
    figure = Figure(figsize=(12.4, 3.1), layout="constrained")
    titles = (
        "1  Tune small proxies",
        "2  Apply the scaling rules",
        "3  Get the target's settings",
        "4  Check with a short run",
    )
    notes = (
        "many at once, in packs;\nOptuna suggests, Ray trains",
        "GQA-μP: width, depth, weight decay,\nrepeat factor of attention",
        "for every role of parameter,\nwith the source of each rule",
        "target and proxy side by side:\npass or fail, with reasons",
    )
    panels = figure.subplots(1, 4, gridspec_kw={"wspace": 0.14})
    for axes, title, note in zip(panels, titles, notes, strict=True):
        axes.set_title(title, fontsize=11.5, fontweight="bold", color=INK, loc="left")
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(note, fontsize=9.5, color=INK)
        axes.spines[:].set_color("#bbbbbb")
    for axes in panels[:-1]:
        axes.annotate(
            "",
            xy=(1.145, 0.5),
            xytext=(1.005, 0.5),
            xycoords="axes fraction",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.8},
        )
    _draw_search(panels[0])
    _draw_rules(panels[1])
    _draw_settings(panels[2])
    _draw_check(panels[3])
    figure.savefig(path, dpi=130)


def _draw_search(axes: Axes) -> None:
    """Losses of trials against the learning rate, with the best one marked."""
    rates = np.random.default_rng(3).uniform(-1, 1, 28)
    losses = rates**2 + np.abs(np.random.default_rng(4).normal(0, 0.08, 28))
    axes.scatter(rates, losses, s=16, color=PROXY, alpha=0.7)
    axes.scatter([0.02], [0.0], s=170, marker="*", color=PROXY, zorder=3)
    axes.set(xlim=(-1.2, 1.2), ylim=(-0.22, 1.35))
    axes.text(0, 1.18, "loss against learning rate", ha="center", fontsize=9, color=INK)


def _draw_rules(axes: Axes) -> None:
    for (grows, settings), top in zip(RULES, (0.86, 0.46, 0.22), strict=True):
        axes.text(0.05, top, grows, va="top", fontsize=10.5, color=INK)
        axes.text(0.38, top, settings, va="top", fontsize=10.5, color=INK, linespacing=1.5)


def _draw_settings(axes: Axes) -> None:
    """A small model, a large one, and an arrow from one's settings to the other's."""
    axes.set(xlim=(0, 10), ylim=(0, 10), aspect="auto")
    for left, width, blocks, color, name in (
        (0.7, 1.6, 2, PROXY, "proxy"),
        (5.0, 4.2, 5, TARGET, "target"),
    ):
        for block in range(blocks):
            corner = (left, 1.6 + 1.35 * block)
            axes.add_patch(Rectangle(corner, width, 1.1, facecolor=color, alpha=0.75))
        axes.text(left + width / 2, 0.5, name, ha="center", fontsize=10, color=color)
    axes.annotate(
        "",
        xy=(4.8, 3.0),
        xytext=(2.6, 3.0),
        arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2},
    )
    axes.text(3.65, 3.4, "η, λ, σ, ε", ha="center", fontsize=9, color=INK)


def _draw_check(axes: Axes) -> None:
    """Two loss curves, the target's below the proxy's."""
    steps = np.linspace(0.05, 1, 60)
    axes.plot(steps, 0.75 + 0.5 * np.exp(-5 * steps), color=PROXY, lw=2.2)
    axes.plot(steps, 0.45 + 0.75 * np.exp(-5 * steps), color=TARGET, lw=2.2)
    axes.text(0.98, 0.80, "proxy", ha="right", fontsize=10, color=PROXY)
    axes.text(0.98, 0.37, "target", ha="right", fontsize=10, color=TARGET)
    axes.text(0.62, 1.08, "verdict: pass", ha="center", fontsize=11, fontweight="bold", color=INK)
    axes.set(xlim=(0, 1.05), ylim=(0.25, 1.25))


if __name__ == "__main__":
    draw(PICTURE)
