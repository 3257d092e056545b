"""A coordinate check through a trainer of the user's own, by the relative updates it reports."""

from pathlib import Path
from typing import Any

from proxytune.config.axis import coordinate
from proxytune.config.coordinates import CoordinateSpec
from proxytune.coordinates.measure import Measurement, Run, hyperparameters_of, runs
from proxytune.coordinates.sizes import Quantity
from proxytune.errors import RunError
from proxytune.packs.fixed import FixedPacks
from proxytune.packs.pack import Member, PackSpec
from proxytune.scaling.rules import Role


def coordinate_packs(spec: CoordinateSpec, tokens: Path) -> FixedPacks:
    """One pack per run, which trains without clipping; at a constant rate, unless it is late."""
    return FixedPacks([_pack(spec, run, tokens) for run in runs(spec)])


def reported_updates(spec: CoordinateSpec, packs: FixedPacks) -> list[Measurement]:
    """The updates of all packs, once they have trained.

    Raises RunError where a pack was lost, and where its trainer reported no updates, or those of
    something that is no role.
    """
    if packs.lost:
        raise RunError("; ".join(packs.lost))
    return [
        measurement
        for run in runs(spec)
        for measurement in _measured(spec, run, packs.runs[_name(spec, run)].details[0].updates)
    ]


def _measured(
    spec: CoordinateSpec, run: Run, updates: dict[str, float] | None
) -> list[Measurement]:
    roles = set(Role)
    if not updates or not roles.issuperset(updates):
        told = ", ".join(updates or ()) or "none"
        raise RunError(
            f"{_name(spec, run)}: the check needs updates, by role, in the last line of "
            f"metrics.jsonl; reported were {told}; roles are {', '.join(Role)}"
        )
    at = coordinate(spec.axis, run.shape)
    return [
        Measurement(run.label, at, run.seed, role, Quantity.RELATIVE_UPDATE_SPECTRAL, size)
        for role, size in updates.items()
    ]


def _pack(spec: CoordinateSpec, run: Run, tokens: Path) -> PackSpec:
    hyperparameters = hyperparameters_of(spec, run)
    changes: dict[str, Any] = {"steps": spec.steps, "evaluations": 1, "clip_norm": None}
    if not spec.late:
        changes |= {"schedule": "linear", "final_lr_fraction": 1.0}
        hyperparameters = hyperparameters.model_copy(update={"warmup_fraction": 0.0})
    training = spec.training.model_copy(update=changes)
    return PackSpec.of_experiment(
        spec,
        _name(spec, run),
        [Member(number=0, seed=run.seed, hyperparameters=hyperparameters)],
        parameterization=run.parameterization,
        tokens=tokens,
        seed=run.seed,
        shape=run.shape,
        training=training,
        details=True,
        purpose="coordinates",
    )


def _name(spec: CoordinateSpec, run: Run) -> str:
    return f"{run.label}-{coordinate(spec.axis, run.shape)}-{run.seed}"
