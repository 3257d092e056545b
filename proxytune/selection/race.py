"""Candidates race on fresh seeds: round by round, and whoever is clearly behind drops out.

Notation
    n seeds so far; dᵢ the loss of candidate i less the leader's, paired by seed
    t the 90 % quantile of Student's t with n − 1 degrees of freedom; s their deviation
    i is behind if the mean of dᵢ exceeds max(t·s/√n, 0.002); its half-width is t·s/√n
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.special import stdtrit

from proxytune.config.study import StudySpec
from proxytune.packs.fixed import FixedPacks, PackRun
from proxytune.packs.pack import Evaluation, Member, MemberDetails, PackSpec
from proxytune.packs.selection import Candidate

QUANTILE = 0.9
LEAST_DIFFERENCE = 0.002
"""Nats by which nobody is behind."""
PRECISE = 0.005
"""A half-width, in nats, that is good enough."""
DROPS_FROM = 3
"""Seeds from which on candidates drop out; two tell too little."""

Losses = Mapping[int, Sequence[float | None]]
"""Of each candidate, by its number, on every seed so far; None where it diverged."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A race after some seeds."""

    order: tuple[int, ...]
    """Candidates that are still in it, best first; empty if all diverged."""
    behind: frozenset[int]
    """Of these, those that are clearly worse than the first."""
    half_width: float
    """Of the differences to those that are not, in nats; infinite below two seeds."""


def standing(losses: Losses) -> Standing:
    """Who leads, and who is behind. Whoever diverged on a seed is out."""
    finite = {n: [x for x in of if x is not None] for n, of in losses.items()}
    means = {n: statistics.fmean(of) for n, of in finite.items() if len(of) == len(losses[n])}
    order = tuple(sorted(means, key=lambda number: means[number]))
    behind, widths = set(), [0.0]
    for number in order[1:]:
        pairs = zip(finite[number], finite[order[0]], strict=True)
        difference = means[number] - means[order[0]]
        width = _half_width([one - best for one, best in pairs])
        if difference > max(width, LEAST_DIFFERENCE):
            behind.add(number)
        else:
            widths.append(width)
    return Standing(order, frozenset(behind), max(widths))


def _half_width(differences: Sequence[float]) -> float:
    n = len(differences)
    if n < 2:
        return math.inf
    t = float(stdtrit(n - 1, QUANTILE))
    return t * statistics.stdev(differences) / math.sqrt(n)


class Race:
    """The packs of a race (a PackSource): a pack per seed, with every candidate still in it.

    Rounds of `seeds` fresh seeds, whose packs can train at the same time. Whoever drops out is
    decided between rounds, so it does not depend on which pack ends first. Packs keep their
    checkpoints until `forget`, so a race that was stopped goes through what it has trained in no
    time.
    """

    def __init__(
        self, study: StudySpec, candidates: Sequence[Candidate], tokens: Path, checkpoints: Path
    ) -> None:
        self._study, self._tokens, self._checkpoints = study, tokens, checkpoints
        after = study.search.trials
        self.candidates: dict[int, Candidate] = {}
        """By number in their packs; those between trials come after all trials."""
        for candidate in candidates:
            number = candidate.number
            if number is None:
                number, after = after, after + 1
            self.candidates[number] = candidate
        self.losses: dict[int, list[float | None]] = {n: [] for n in self.candidates}
        """On every seed that a candidate trained on."""
        self.tokens = 0
        """That all of them trained on."""
        self.seeds: list[int] = []
        self._in = list(self.candidates)
        self._over = False
        self._trained: list[PackRun] = []
        self._open()

    def next_pack(self) -> PackSpec | None:
        """The next pack of the round; None while the round is in training."""
        return self._round.next_pack()

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Stores the evaluations; nobody drops out before the end of a pack."""
        return self._round.report(pack, evaluations)

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        """Opens the next round after the last pack of this one, unless the race is decided."""
        self._round.finish(pack, details)
        if all(run.finished for run in self._round.runs.values()):
            self._close()

    def fail(self, pack: PackSpec, reason: str) -> None:
        """Stores the reason, for `lost`."""
        self._round.fail(pack, reason)

    def too_large(self, pack: PackSpec) -> None:
        """Continues with the halves."""
        self._round.too_large(pack)

    @property
    def exhausted(self) -> bool:
        """Whether no round can come after this one, and all of its packs are out."""
        last = self._over or self._is_last or bool(self.lost)
        return last and self._round.exhausted

    @property
    def lost(self) -> list[str]:
        """Each failed pack with the reason."""
        return self._round.lost

    def forget(self) -> None:
        """Removes the checkpoints."""
        for run in self._trained:
            for pack in (run.pack, *run.parts):
                if pack.checkpoint is not None:
                    pack.checkpoint.unlink(missing_ok=True)

    @property
    def _is_last(self) -> bool:
        return len(self.seeds) >= self._study.selection.most_seeds

    def _open(self) -> None:
        first, selection = self._study.seed + 1 + len(self.seeds), self._study.selection
        left = selection.most_seeds - len(self.seeds)
        fresh = range(first, first + min(selection.seeds, left))
        self.seeds += fresh
        self._round = FixedPacks(
            [self._pack(seed) for seed in fresh], largest=self._study.largest_pack
        )

    def _pack(self, seed: int) -> PackSpec:
        name = f"confirmation-{seed}"
        return PackSpec.of_experiment(
            self._study,
            name,
            [
                Member(number=n, seed=seed, hyperparameters=self.candidates[n].hyperparameters)
                for n in self._in
            ],
            parameterization=self._study.parameterization,
            tokens=self._tokens,
            seed=seed,
            checkpoint=self._checkpoints / f"{name}.pt",
            purpose="confirmation",
        )

    def _close(self) -> None:
        """Adds the round's losses, and decides what comes next."""
        for run in self._round.runs.values():
            self._trained.append(run)
            for member in run.pack.members:
                end = run.evaluations(member.number)[-1]
                self.losses[member.number].append(None if end.diverged else end.validation_loss)
                self.tokens += end.tokens
        now = standing({number: self.losses[number] for number in self._in})
        drops = now.behind if len(self.seeds) >= DROPS_FROM else frozenset()
        self._in = [number for number in self._in if number in now.order and number not in drops]
        precise = len(self.seeds) >= DROPS_FROM and now.half_width <= PRECISE
        self._over = len(self._in) < 2 or precise or self._is_last
        if not self._over:
            self._open()
