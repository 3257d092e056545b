"""How often a pack may lose what trains it."""

from collections import Counter
from collections.abc import Sequence

from proxytune.packs.pack import Evaluation


class Losses:
    """Counts for each pack the losses in a row without progress; more than `most` are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_a_row: Counter[str] = Counter()
        self._heard: dict[str, int] = {}
        """The last reported step of each pack."""

    def hear(self, pack: str, evaluations: Sequence[Evaluation]) -> None:
        """A step that was not reported before is progress."""
        last = max((evaluation.step for evaluation in evaluations), default=0)
        if last > self._heard.get(pack, 0):
            self._heard[pack] = last
            del self._in_a_row[pack]

    def allow_another(self, pack: str) -> bool:
        """Counts a loss; returns whether the pack is to be tried again."""
        self._in_a_row[pack] += 1
        return self._in_a_row[pack] <= self._most

    def reason(self, pack: str, last: str | None = None) -> str:
        """Why a pack with too many losses has failed; `last` says what the last one was."""
        lost = f"its worker was lost {self._in_a_row[pack]} times in a row"
        return f"{lost}, at last because {last}" if last else lost
