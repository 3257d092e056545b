"""Packs in training as a phase: how much of their work is done, and how long the rest takes."""

from collections.abc import Callable, Iterable, Sequence

from proxytune.config.experiment import ExperimentSpec
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.phase import OnPhase, Pace, Phase
from proxytune.packs.ports import PackSource


def work_of(of: PackSpec | ExperimentSpec) -> float:
    """Floating-point operations of one training run of a pack, or of an experiment's proxy."""
    shape = of.shape if isinstance(of, PackSpec) else of.proxy
    return float(of.training.tokens(shape.seq_len) * shape.training_flops_per_token())


def work_of_all(packs: Iterable[PackSpec]) -> float:
    """Floating-point operations of all members of all packs."""
    return sum(len(pack.members) * work_of(pack) for pack in packs)


class WatchedPacks:
    """A PackSource that tells how far another one is. A member that ends early is done."""

    def __init__(
        self,
        source: PackSource,
        name: str,
        tell: OnPhase,
        total: float,
        *,
        before: float = 0.0,
        after: float = 0.0,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        """Work is counted in floating-point operations.

        name: of the phase, in words.
        total: all work of the phase; more if there are more packs in the end.
        before: the part of it that was done earlier.
        after: work that follows this phase, for the time left.
        """
        self._source, self._name, self._tell, self._pace = source, name, tell, pace()
        self._total, self._before, self._after = total, before, after
        self._work: dict[tuple[str, int], float] = {}
        """Of every member that was given out, by pack and number."""
        self._done: dict[tuple[str, int], float] = {}
        self._silent: set[str] = set()
        """Packs that began before anything was reported, and have not reported yet."""
        self._say()

    def next_pack(self) -> PackSpec | None:
        """The next pack of the source."""
        pack = self._source.next_pack()
        if pack is not None:
            self._work |= {(pack.name, m.number): work_of(pack) for m in pack.members}
            if not self._done:
                self._silent.add(pack.name)
            self._say()
        return pack

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Tells how far all packs are, then lets the source judge."""
        seconds = 0.0
        steps = sorted({evaluation.step for evaluation in evaluations})
        for step in steps:
            here = [evaluation for evaluation in evaluations if evaluation.step == step]
            spent, seconds = seconds, sum(evaluation.seconds for evaluation in here)
            if step == steps[-1]:
                # What a pack repeats after it resumes is none of this process's work.
                self._pace.begin(self._sum(), ago=seconds - spent)
            for evaluation in here:
                share = 1.0 if evaluation.diverged else step / pack.training.steps
                self._reach(pack, evaluation.number, share)
        self._silent.discard(pack.name)
        self._say()
        dropped = self._source.report(pack, evaluations)
        for number in dropped:
            self._reach(pack, number, 1.0)
        return dropped

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """As the source does."""
        self._source.finish(pack, details)

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Counts the whole pack as done."""
        self._silent.discard(pack.name)
        for member in pack.members:
            self._reach(pack, member.number, 1.0)
        self._source.fail(pack, reason)

    def too_large(self, pack: PackSpec) -> None:
        """Forgets the pack: its halves tell again what was trained."""
        self._silent.discard(pack.name)
        for member in pack.members:
            self._work.pop((pack.name, member.number), None)
            self._done.pop((pack.name, member.number), None)
        self._source.too_large(pack)

    @property
    def exhausted(self) -> bool:
        """Whether the source is."""
        return self._source.exhausted

    def _reach(self, pack: PackSpec, number: int, share: float) -> None:
        key = pack.name, number
        self._done[key] = max(self._done.get(key, 0.0), share * work_of(pack))

    def _sum(self) -> float:
        return self._before + sum(self._done.values())

    def _say(self) -> None:
        done, total = self._sum(), max(self._total, self._before + sum(self._work.values()))
        # Of several that train at once, the first to report tells too little of the pace.
        left = None if self._silent else self._pace.left(done, total + self._after)
        self._tell(Phase(self._name, done, total, left))
