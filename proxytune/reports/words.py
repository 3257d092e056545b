"""How numbers and results are written on pages."""

from collections.abc import Iterable

from proxytune.config.shape import Shape
from proxytune.intervals import Interval
from proxytune.packs.selection import Selection
from proxytune.packs.trial import TrialResult


def number(value: float | None) -> str:
    """A setting, in four digits; a dash for none."""
    return "–" if value is None else f"{value:.4g}"


def loss(value: float | None) -> str:
    """A loss in nats per token; a dash for none."""
    return "–" if value is None else f"{value:.4f}"


def interval(figure: Interval, signed: bool = False) -> str:
    """A figure with its 95 % interval, where it has one."""
    sign = "+" if signed else ""
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:{sign}.3f}"
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shape_in_words(shape: Shape) -> str:
    """Width, depth and repeat factor."""
    return f"width {shape.d_model}, depth {shape.n_layers}, repeat {shape.repeat}"


def sentence(selection: Selection, searched: Iterable[str], *, ranges: bool = True) -> str:
    """What a study found: the point, where its optimum may lie if `ranges`, and how good it is."""
    names = list(searched)
    point = _listed([f"{name} {number(getattr(selection.point, name))}" for name in names])
    found = [selection.interval[name] for name in names if name in selection.interval]
    if ranges and len(found) == len(names):
        optimum = _listed([f"{number(low)} to {number(high)}" for low, high in found])
        point += f", where the optimum lies at {optimum} with a probability of 80 %"
    best = selection.best
    if best.confirmed:
        seeds = len(best.confirmed)
        error = selection.standard_error
        about = "" if error is None else f" ± {error:.4f}"
        measured = f"a mean validation loss of {loss(best.mean)}{about} nats per token"
        where = f"on {seeds} fresh seed{'s'[: seeds != 1]}"
    else:
        measured = f"a validation loss of {loss(best.value)} nats per token"
        where = "in the search, without fresh seeds"
    equal = len(selection.equal)
    others = f"; {equal} other{'s'[: equal != 1]} equal within noise" if equal else ""
    return f"Train with {point}: {measured} {where} ({best.name}{others})."


def lowest_so_far(trial: TrialResult | None, finished: int, of: int) -> str:
    """What a study has found that is not complete."""
    found = f"{finished} of {of} trials are finished, and none is confirmed on fresh seeds yet"
    if trial is None:
        return f"No trial has a finite loss so far: {found}."
    point = _listed([f"{name} {number(value)}" for name, value in trial.params.items()])
    return f"Lowest so far is trial {trial.number}: {loss(trial.value)}, with {point}; {found}."


def _listed(words: list[str]) -> str:
    """a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
