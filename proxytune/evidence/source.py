"""The packs of an evidence run: one a parameterization, shape and seed, with all values in it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from proxytune.config.axis import coordinate
from proxytune.config.base import Spec
from proxytune.config.evidence import EvidenceSpec
from proxytune.errors import RunError
from proxytune.packs.pack import Evaluation, Member, PackSpec


class PackKey(NamedTuple):
    """Which pack of an evidence run."""

    parameterization: str
    coordinate: int
    seed: int


class Point(Spec):
    """One training run: a value of the hyperparameter and the loss it came to."""

    parameterization: str
    """Its label."""
    coordinate: int
    """d_model, n_layers or repeat factor, by the axis."""
    seed: int
    """Seed of initial weights and batches."""
    value: float
    """The hyperparameter's."""
    loss: float | None
    """Validation loss after the last step, nats a token; None if training diverged."""
    seconds: float
    """Its share of the pack's training time."""

    @property
    def key(self) -> PackKey:
        """The pack it trained in."""
        return PackKey(self.parameterization, self.coordinate, self.seed)


class EvidenceSource:
    """Gives out the packs that are not done (a PackSource; see search/executor.py)."""

    def __init__(
        self,
        spec: EvidenceSpec,
        tokens: Path,
        done: Collection[PackKey],
        keep: Callable[[Sequence[Point]], None],
    ) -> None:
        """`keep` is called with all points of a pack once it is done."""
        self._spec, self._tokens, self._keep = spec, tokens, keep
        self._packs = {key: self._pack(key) for key in pack_keys(spec) if key not in done}
        self._waiting = list(self._packs.values())
        self._last: dict[PackKey, dict[int, Evaluation]] = {}
        self._trained: dict[PackKey, set[int]] = {}
        self._lost: list[str] = []

    def next_pack(self) -> PackSpec | None:
        """The next pack that is not done."""
        return self._waiting.pop(0) if self._waiting else None

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        """Keeps every member's last evaluation; nobody is dropped."""
        self._last.setdefault(self._key(pack), {}).update({e.number: e for e in evaluations})
        return frozenset()

    def finish(self, pack: PackSpec) -> None:
        """Hands on the pack's points; those of halves, when both are done."""
        key = self._key(pack)
        members, last = self._packs[key].members, self._last[key]
        self._trained.setdefault(key, set()).update(m.number for m in pack.members)
        if len(self._trained[key]) < len(members):
            return
        self._keep(
            [
                Point(
                    parameterization=key.parameterization,
                    coordinate=key.coordinate,
                    seed=key.seed,
                    value=getattr(member.hyperparameters, self._spec.hyperparameter),
                    loss=None if last[n].diverged else last[n].validation_loss,
                    seconds=last[n].seconds,
                )
                for n, member in enumerate(members)
            ]
        )

    def fail(self, pack: PackSpec, reason: str) -> None:
        """A lost pack leaves a gap, which `require_whole` tells of."""
        self._lost.append(f"{self._key(pack)}: {reason}")

    def too_large(self, pack: PackSpec) -> None:
        """Goes on in halves."""
        self._waiting[:0] = pack.halves()

    @property
    def exhausted(self) -> bool:
        """Whether all packs were given out."""
        return not self._waiting

    def require_whole(self) -> None:
        """Raises RunError that lists packs that were lost."""
        if self._lost:
            raise RunError("packs were lost, so run it again: " + "; ".join(self._lost))

    def _key(self, pack: PackSpec) -> PackKey:
        """Of a whole pack, or of part of one."""
        at = coordinate(self._spec.axis, pack.shape)
        return PackKey(pack.parameterization.label, at, pack.data_seed)

    def _pack(self, key: PackKey) -> PackSpec:
        spec = self._spec
        rules = next(p for p in spec.parameterizations if p.label == key.parameterization)
        shape = next(s for s in spec.shapes() if coordinate(spec.axis, s) == key.coordinate)
        fixed = spec.hyperparameters
        return PackSpec(
            name="-".join(map(str, key)),
            shape=shape,
            base=spec.base,
            parameterization=rules,
            training=spec.training,
            data_seed=key.seed,
            tokens=self._tokens,
            threads=spec.execution.cpus_per_pack,
            members=tuple(
                Member(
                    number=number,
                    seed=key.seed,
                    hyperparameters=fixed.model_copy(update={spec.hyperparameter: 2.0**x}),
                )
                for number, x in enumerate(spec.grid.log2_values())
            ),
        )


def pack_keys(spec: EvidenceSpec) -> list[PackKey]:
    """All packs of a run: seed by seed, so that an early stop has whole curves of a few seeds."""
    return [
        PackKey(rules.label, coordinate(spec.axis, shape), spec.seed + seed)
        for seed in range(spec.seeds)
        for shape in spec.shapes()
        for rules in spec.parameterizations
    ]


def grid_of(spec: EvidenceSpec, points: Collection[Point]) -> dict[str, list[list[list[float]]]]:
    """Losses by parameterization, as lists over shapes, seeds and values; infinite if diverged.

    The points are those of a whole run, in the order of each pack's members.
    """
    by_key: dict[PackKey, list[float]] = {}
    for point in points:
        loss = float("inf") if point.loss is None else point.loss
        by_key.setdefault(point.key, []).append(loss)
    return {
        rules.label: [
            [
                by_key[PackKey(rules.label, coordinate(spec.axis, shape), spec.seed + seed)]
                for seed in range(spec.seeds)
            ]
            for shape in spec.shapes()
        ]
        for rules in spec.parameterizations
    }
