"""What a study's search led to, in a few lines."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console

from proxytune.cli.settings import print_warnings
from proxytune.cli.tables import loss, setting

if TYPE_CHECKING:
    from proxytune.packs.selection import Candidate, Selection


def print_selection(console: Console, chosen: "Selection", searched: Iterable[str]) -> None:
    """The chosen point, why it was chosen, and how sure that is."""
    best = chosen.best
    point = ", ".join(f"{name} {setting(name, getattr(chosen.point, name))}" for name in searched)
    console.print(f"chosen: [bold]{best.name}[/], {point}")
    console.print(f"why: {_why(best)}")
    if chosen.interval:
        ranges = (
            f"{of} {setting(of, a)} to {setting(of, b)}" for of, (a, b) in chosen.interval.items()
        )
        console.print(f"the optimum is, with a probability of 80 %, at {', '.join(ranges)}")
    if chosen.equal:
        console.print(f"equal within noise: {', '.join(one.name for one in chosen.equal)}")
    print_warnings(console, chosen.remarks)


def _why(best: "Candidate") -> str:
    if not best.confirmed:
        return f"the lowest loss of the search, {loss(best.value)}; no fresh seeds"
    seeds = "1 fresh seed" if len(best.confirmed) == 1 else f"{len(best.confirmed)} fresh seeds"
    error = "" if best.standard_error is None else f" ± {best.standard_error:.4f}"
    return f"the lowest mean loss, {loss(best.mean)}{error}, on {seeds}"
