"""A source that keeps what it hears."""

from collections.abc import Mapping, Sequence

from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec


class Recording:
    """Gives out packs (a PackSource), drops whom it is told to, and keeps all it hears."""

    def __init__(
        self,
        packs: Sequence[PackSpec],
        drops: Mapping[tuple[str, int], frozenset[int]] | None = None,
    ) -> None:
        self._waiting, self._drops = list(packs), drops or {}
        self.given: list[str] = []
        self.heard: dict[str, list[Evaluation]] = {}
        self.finished: list[str] = []
        self.details: dict[str, list[MemberDetails]] = {}
        self.failed: list[tuple[str, str]] = []
        self.split: list[str] = []
        self.most_in_training = 0

    def next_pack(self) -> PackSpec | None:
        if not self._waiting:
            return None
        pack = self._waiting.pop(0)
        self.given.append(pack.name)
        ended = len(self.finished) + len(self.failed) + len(self.split)
        self.most_in_training = max(self.most_in_training, len(self.given) - ended)
        return pack

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        self.heard.setdefault(pack.name, []).extend(evaluations)
        steps = {e.step for e in evaluations}
        return frozenset().union(*(self._drops.get((pack.name, s), frozenset()) for s in steps))

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        self.finished.append(pack.name)
        self.details[pack.name] = list(details)

    def fail(self, pack: PackSpec, reason: str) -> None:
        self.failed.append((pack.name, reason))

    def too_large(self, pack: PackSpec) -> None:
        self.split.append(pack.name)
        self._waiting[:0] = pack.halves()

    @property
    def exhausted(self) -> bool:
        return not self._waiting

    def steps(self, name: str, number: int) -> list[int]:
        """The steps at which a member was evaluated, as they were heard."""
        return [e.step for e in self.heard.get(name, []) if e.number == number]
