"""The packs of an evidence run: one a parameterization, shape and seed, with all values in it."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from proxytune.config.base import Spec
from proxytune.config.evidence import EvidenceSpec
from proxytune.packs.fixed import PackRun
from proxytune.packs.pack import Member, PackSpec


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
    """d_model, n_layers, repeat factor, tokens or batch size, by the axis."""
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


def evidence_packs(spec: EvidenceSpec, tokens: Path, done: Collection[PackKey]) -> list[PackSpec]:
    """The packs that are not done."""
    return [_pack(spec, key, tokens) for key in pack_keys(spec) if key not in done]


def points_of(spec: EvidenceSpec, run: PackRun) -> list[Point]:
    """The points of a finished pack, in the order of its members."""
    key = _key(spec, run.pack)
    ends = {member.number: run.evaluations(member.number)[-1] for member in run.pack.members}
    return [
        Point(
            parameterization=key.parameterization,
            coordinate=key.coordinate,
            seed=key.seed,
            value=getattr(member.hyperparameters, spec.hyperparameter),
            loss=None if ends[member.number].diverged else ends[member.number].validation_loss,
            seconds=ends[member.number].seconds,
        )
        for member in run.pack.members
    ]


def _key(spec: EvidenceSpec, pack: PackSpec) -> PackKey:
    trained = (pack.shape, pack.training)
    at = next(p.coordinate for p in spec.places() if (p.shape, p.training) == trained)
    return PackKey(pack.parameterization.label, at, pack.data_seed)


def _pack(spec: EvidenceSpec, key: PackKey, tokens: Path) -> PackSpec:
    rules = next(p for p in spec.parameterizations if p.label == key.parameterization)
    place = next(p for p in spec.places() if p.coordinate == key.coordinate)
    members = [
        Member(
            number=number,
            seed=key.seed,
            hyperparameters=spec.hyperparameters.model_copy(update={spec.hyperparameter: 2.0**x}),
        )
        for number, x in enumerate(spec.grid.log2_values())
    ]
    return PackSpec.of_experiment(
        spec.model_copy(update={"training": place.training}),
        "-".join(map(str, key)),
        members,
        parameterization=rules,
        tokens=tokens,
        seed=key.seed,
        shape=place.shape,
        purpose="evidence",
    )


def pack_keys(spec: EvidenceSpec) -> list[PackKey]:
    """All packs of a run: seed by seed, so that an early stop has whole curves of a few seeds."""
    return [
        PackKey(rules.label, place.coordinate, spec.seed + seed)
        for seed in range(spec.seeds)
        for place in spec.places()
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
                by_key[PackKey(rules.label, place.coordinate, spec.seed + seed)]
                for seed in range(spec.seeds)
            ]
            for place in spec.places()
        ]
        for rules in spec.parameterizations
    }
