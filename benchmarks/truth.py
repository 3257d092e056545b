"""The quickstart's true loss at any point: a surface through means over seeds that no search uses.

python benchmarks/truth.py      records the trials that are missing, some 40 minutes on one core
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import pyarrow as pa
import pyarrow.parquet as pq
from record_surface import Point, sobol_points, train
from surface import Row, Surface

from proxytune.config.load import load_study
from proxytune.config.search import Range, SpaceEntry
from proxytune.data.prepare import prepare

SPEC = load_study(Path(__file__).parents[1] / "studies" / "quickstart.yaml")
RESULT = Path(__file__).parent / "results" / "truth.parquet"
SEEDS = tuple(range(1001, 1009))
FIRST_SEEDS = SEEDS[:3]
"""These say where the lowest point is, around which the near ones lie."""
EVERYWHERE, NEAR = 64, 32
"""Points over the whole space, then points around the lowest."""
REACH = 1 / 6
"""Of each range, how far to either side of the lowest point the near ones lie."""
FLOOR = 1.9
"""Nats below every loss."""
PACK = 16


def truth() -> Surface:
    """The surface through what was recorded; records it first if nobody has."""
    if not RESULT.exists():
        record()
    return _through(recorded())


def _through(rows: Sequence[Row]) -> Surface:
    """Through the mean over seeds at each point; every seed had all points."""
    means = [
        point | {"losses": [mean(row["losses"][-1] for row in of)] if all(map(whole, of)) else []}
        for point, of in by_point(rows)
    ]
    return Surface(SPEC.search.space, means, floor=FLOOR)


def by_point(rows: Sequence[Row]) -> list[tuple[Point, list[Row]]]:
    """The points, each with its trials."""
    names, found = list(SPEC.search.space), dict[tuple[float, ...], list[Row]]()
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return [(dict(zip(names, point, strict=True)), of) for point, of in found.items()]


def whole(row: Row) -> bool:
    """Whether a trial did not diverge."""
    return len(row["losses"]) == SPEC.training.evaluations


def near(entry: SpaceEntry, value: float) -> SpaceEntry:
    """The part of a range around a value; choices stay."""
    if not isinstance(entry, Range):
        return entry
    assert entry.log, "all ranges of the quickstart are"
    factor = (entry.high / entry.low) ** REACH
    low, high = max(entry.low, value / factor), min(entry.high, value * factor)
    return entry.model_copy(update={"low": low, "high": high})


def record() -> None:
    """Trains what is missing of all points on all seeds, and keeps it pack by pack."""
    everywhere = sobol_points(SPEC, EVERYWHERE)
    _record(everywhere, FIRST_SEEDS)
    best, space = _through(_of(recorded(), everywhere, FIRST_SEEDS)).best, SPEC.search.space
    around = {name: near(entry, best[name]) for name, entry in space.items()}
    search = SPEC.search.model_copy(update={"space": around})
    close = sobol_points(SPEC.model_copy(update={"search": search}), NEAR)
    _record([*everywhere, *close], SEEDS)


def _record(points: Sequence[Point], seeds: Sequence[int]) -> None:
    with tempfile.TemporaryDirectory() as cache:
        tokens = prepare(SPEC.data, SPEC.proxy.seq_len, Path(cache))
        for seed in seeds:
            rows = recorded()
            missing = [point for point in points if not _of(rows, [point], [seed])]
            for first in range(0, len(missing), PACK):
                of = missing[first : first + PACK]
                curves = train(SPEC, tokens, of, seed)
                pairs = zip(of, curves, strict=True)
                rows.extend({**p, "seed": seed, "losses": losses} for p, losses in pairs)
                pq.write_table(pa.Table.from_pylist(rows), RESULT, compression="zstd")
                print(f"{len(rows)} trials", file=sys.stderr)


def recorded() -> list[Row]:
    """The trials on all seeds; none if nobody recorded them."""
    return pq.read_table(RESULT).to_pylist() if RESULT.exists() else []


def _of(rows: Sequence[Row], points: Sequence[Point], seeds: Sequence[int]) -> list[Row]:
    """The rows of these points and seeds."""
    return [
        row
        for row in rows
        if row["seed"] in seeds and any(all(row[n] == p[n] for n in p) for p in points)
    ]


if __name__ == "__main__":
    record()
