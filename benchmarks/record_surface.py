"""Records the response surface of surface.yaml: real trials at Sobol points, with their curves.

python benchmarks/record_surface.py      a quarter of an hour on one core
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import qmc

from proxytune.config.load import load_study
from proxytune.config.search import Choices, SpaceEntry
from proxytune.config.study import StudySpec
from proxytune.data.prepare import prepare
from proxytune.packs.pack import Member, PackSpec
from proxytune.training.pack import start_pack

HERE = Path(__file__).parent
STUDY = HERE / "surface.yaml"
RESULT = HERE / "results" / "surface.parquet"

Point = dict[str, float]


def value(axis: SpaceEntry, unit: float) -> float:
    """The value of an axis at `unit` of its way, 0 to 1."""
    if isinstance(axis, Choices):
        return axis.choices[int(unit * len(axis.choices))]
    if axis.log:
        return float(axis.low * (axis.high / axis.low) ** unit)
    return axis.low + (axis.high - axis.low) * unit


def sobol_points(spec: StudySpec, count: int) -> list[Point]:
    """Scrambled Sobol points of the study's space."""
    space = spec.search.space
    units = qmc.Sobol(len(space), rng=spec.seed).random_base2((count - 1).bit_length())[:count]
    return [
        {name: value(axis, unit) for (name, axis), unit in zip(space.items(), row, strict=True)}
        for row in units
    ]


def train(spec: StudySpec, tokens: Path, points: Sequence[Point], seed: int) -> list[list[float]]:
    """Validation losses of each point at its evaluations; a curve ends where it diverged."""
    pack = PackSpec(
        name="surface",
        shape=spec.proxy,
        base=spec.base,
        parameterization=spec.parameterization,
        training=spec.training,
        data_seed=seed,
        tokens=tokens,
        members=tuple(
            Member(number=number, seed=seed, hyperparameters=spec.hyperparameters_of(point))
            for number, point in enumerate(points)
        ),
    )
    curves: list[list[float]] = [[] for _ in points]
    trainer = start_pack(pack)
    while not trainer.done:
        for evaluation in trainer.advance():
            if not evaluation.diverged and evaluation.validation_loss is not None:
                curves[evaluation.number].append(evaluation.validation_loss)
    return curves


def record(spec: StudySpec, points: int, repeats: int, seeds: int) -> pa.Table:
    """A row a trial: all points on the study's seed; of the better half, some on fresh ones."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        tokens = prepare(spec.data, spec.proxy.seq_len, Path(cache))

        def run(of: Sequence[Point], seed: int) -> None:
            for first in range(0, len(of), spec.search.pack_size):
                pack = of[first : first + spec.search.pack_size]
                curves = train(spec, tokens, pack, seed)
                rows.extend(
                    {**point, "seed": seed, "losses": curve}
                    for point, curve in zip(pack, curves, strict=True)
                )
                print(f"{len(rows)} trials", file=sys.stderr)

        sobol = sobol_points(spec, points)
        run(sobol, spec.seed)
        whole = [row for row in rows if len(row["losses"]) == spec.training.evaluations]
        better = sorted(whole, key=lambda row: row["losses"][-1])[: points // 2]
        again = [{name: row[name] for name in spec.search.space} for row in better]
        for seed in range(spec.seed + 1, spec.seed + 1 + seeds):
            run(again[:: max(1, len(again) // repeats)][:repeats], seed)
    return pa.Table.from_pylist(rows)


def main() -> None:
    """Records and writes the surface."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=576)
    parser.add_argument("--repeats", type=int, default=48, help="points that are trained again")
    parser.add_argument("--seeds", type=int, default=3, help="fresh seeds for each of them")
    given = parser.parse_args()
    table = record(load_study(STUDY), given.points, given.repeats, given.seeds)
    pq.write_table(table, RESULT, compression="zstd")


if __name__ == "__main__":
    main()
