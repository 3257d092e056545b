"""A list of packs that is known beforehand, and the results of each.

A search makes its packs one by one; a confirmation, an evidence run and a check know theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec


@dataclass
class PackRun:
    """The results of one pack so far; its parts count as the pack itself."""

    pack: PackSpec
    parts: list[PackSpec] = field(default_factory=list)
    """The packs that it was given out as, if not as a whole."""
    details: dict[int, MemberDetails] = field(default_factory=dict)
    """By member, once it has ended; empty if the trainer has no details."""
    losses: list[str] = field(default_factory=list)
    """The reasons why the pack, or a part of it, failed."""
    _curves: dict[int, dict[int, Evaluation]] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)

    def evaluations(self, number: int) -> tuple[Evaluation, ...]:
        """A member's evaluations so far, by step."""
        curve = self._curves.get(number, {})
        return tuple(curve[step] for step in sorted(curve))

    def hear(self, evaluations: Sequence[Evaluation]) -> None:
        """Stores evaluations; if a step comes again, the last one counts."""
        for evaluation in evaluations:
            self._curves.setdefault(evaluation.number, {})[evaluation.step] = evaluation

    def end(self, part: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Stores that the pack, or a part of it, has trained to its end."""
        self.details |= {member.number: member for member in details}
        self._ended |= {member.number for member in part.members}

    @property
    def finished(self) -> bool:
        """Whether every member has trained to its end."""
        return len(self._ended) == len(self.pack.members)


OnEvaluations = Callable[[PackRun, Sequence[Evaluation]], object]
OnFinished = Callable[[PackRun], object]


class FixedPacks:
    """Gives out a list of packs (a PackSource) and stores their results; drops no member."""

    def __init__(
        self,
        packs: Sequence[PackSpec],
        on_evaluations: OnEvaluations = lambda run, evaluations: None,
        on_finished: OnFinished = lambda run: None,
        largest: int | None = None,
    ) -> None:
        """Calls `on_evaluations` for every report, and `on_finished` for every finished pack.

        Larger packs than `largest` are given out in parts.
        """
        self.runs = {pack.name: PackRun(pack) for pack in packs}
        """The results of each pack, by its name."""
        self._of = dict(self.runs)
        """The same, also by the names of parts."""
        self._waiting: list[PackSpec] = []
        for pack in packs:
            whole = largest is None or len(pack.members) <= largest
            self._waiting += [pack] if whole else self._parts_of(pack, pack.parts(largest or 1))
        self._on_evaluations, self._on_finished = on_evaluations, on_finished

    def next_pack(self) -> PackSpec | None:
        """The next pack of the list, or half of one that did not fit."""
        return self._waiting.pop(0) if self._waiting else None

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Stores the evaluations."""
        run = self._of[pack.name]
        run.hear(evaluations)
        self._on_evaluations(run, evaluations)
        return frozenset()

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Stores the details."""
        run = self._of[pack.name]
        run.end(pack, details)
        if run.finished:
            self._on_finished(run)

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Stores the reason, for `lost`."""
        self._of[pack.name].losses.append(reason)

    def too_large(self, pack: PackSpec) -> None:
        """Continues with the halves."""
        self._waiting[:0] = self._parts_of(pack, pack.halves())

    def _parts_of(self, pack: PackSpec, parts: Sequence[PackSpec]) -> Sequence[PackSpec]:
        """The parts, whose results count as the pack's own from now on."""
        self._of |= {part.name: self._of[pack.name] for part in parts}
        self._of[pack.name].parts += parts
        return parts

    @property
    def exhausted(self) -> bool:
        """Whether all packs were given out."""
        return not self._waiting

    @property
    def lost(self) -> list[str]:
        """Each failed pack with the reason; empty if all have trained to their ends."""
        return [
            f"{name} was lost ({reason})"
            for name, run in self.runs.items()
            for reason in run.losses
        ]
