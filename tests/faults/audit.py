"""Whether a study is whole: every trial finished once, in three stores that agree, none open."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxytune.packs.trial import TrialState
from tests.faults.rows import Row, Store

TOLERANCE = 1e-6
"""Of losses, relative to an undisturbed run. Rounding depends on how many train in a pack: where
a driver is killed between the trials of a pack, each of these is a pack of its own afterwards."""


@dataclass
class Findings:
    """What is wrong with a study, a line each."""

    lost: list[str] = field(default_factory=list)
    """Trials without a result, and rows that a store lacks."""
    duplicated: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    """Trials that differ between two stores, or from an undisturbed run."""
    left_open: list[str] = field(default_factory=list)


def audit(stores: Mapping[str, Store], reference: Store, asked: int) -> Findings:
    """Compares the stores, Optuna's first, with each other and with an undisturbed run."""
    found = Findings()
    for name, store in stores.items():
        times = Counter(row["number"] for row in store.rows)
        found.lost += [f"{name} lacks trial {n}" for n in range(asked) if n not in times]
        found.duplicated += [
            f"{name} has trial {number} {count} times; {asked} were asked for"
            for number, count in times.items()
            if count > 1 or number >= asked
        ]
        found.duplicated += [f"{name}: {what}" for what in store.doubled]
        found.left_open += [f"{name}: {what}" for what in store.open]
    truth = stores["Optuna"]
    found.lost += [
        f"Optuna: trial {row['number']} failed"
        for row in truth.rows
        if row["state"] == TrialState.FAILED
    ]
    kept = [truth, stores["MLflow"], stores["Parquet"]]
    for one, other, names in (
        (kept[0], kept[1], "Optuna and MLflow"),
        (kept[0], kept[2], "Optuna and Parquet"),
        (kept[2], kept[1], "Parquet and MLflow"),
    ):
        found.mismatched += [f"{names}: {line}" for line in _differences(one, other)]
    found.mismatched += [f"undisturbed and here: {d}" for d in _deviations(reference, truth)]
    return found


def _differences(one: Store, other: Store) -> Iterator[str]:
    """Between rows of two stores that are to be the same, but for what the first does not keep."""
    others = {row["number"]: row for row in other.rows}
    for row in one.rows:
        beside = others.get(row["number"])
        if beside is not None and row["state"] != TrialState.RUNNING:
            curves = {name for name in beside if "@" in name}
            wrong = [n for n in sorted({*row, *curves}) if row.get(n) != beside.get(n)]
            yield from _line(row, beside, wrong)


def _deviations(reference: Store, here: Store) -> Iterator[str]:
    """Of finished trials from those of an undisturbed run; times and packs may be others."""
    expected = {row["number"]: row for row in reference.rows}
    free = {"pack", "started", "finished", "seconds"}
    for row in here.rows:
        known = expected.get(row["number"])
        ended = row["state"] not in (TrialState.RUNNING, TrialState.FAILED)
        if known is not None and ended:
            names = sorted(n for n in {*row, *known} - free if not n.startswith("grad_norm"))
            yield from _line(
                known, row, [n for n in names if not _close(known.get(n), row.get(n))]
            )
    outcomes = [_outcome(store) for store in (reference, here)]
    if not _close(*outcomes):
        yield f"the selection {outcomes[0]} / {outcomes[1]}"


def _outcome(store: Store) -> object:
    """Who was selected, and their losses on fresh seeds."""
    if store.selection is None:
        return None
    return [[c["number"], c["value"], c["confirmed"]] for c in store.selection["candidates"]]


def _close(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other


def _line(one: Row, other: Row, names: list[str]) -> Iterator[str]:
    """At most one a trial, with the first few differences."""
    if names:
        told = [f"{name} {one.get(name)} / {other.get(name)}" for name in names[:3]]
        yield f"trial {one['number']}: {', '.join(told)} ({len(names)} in all)"
