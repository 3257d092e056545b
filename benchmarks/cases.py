"""Shapes and packs that benchmarks train."""

from pathlib import Path

import numpy as np

from proxytune.config.data import DataSpec
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.data.prepare import prepare
from proxytune.packs.pack import Member, PackSpec

SHAPES = {
    "quickstart": Shape(d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=64),
    "width-64": Shape(d_model=64, n_layers=4, n_heads=4, n_kv_heads=2, seq_len=128),
    "width-128": Shape(d_model=128, n_layers=4, n_heads=8, n_kv_heads=2, seq_len=128),
    "width-256": Shape(d_model=256, n_layers=4, n_heads=8, n_kv_heads=2, seq_len=256),
    "width-512": Shape(d_model=512, n_layers=8, n_heads=8, n_kv_heads=2, seq_len=512),
}
"""The last two are for GPUs."""


def pack_of(
    members: int, shape: Shape, threads: int, steps: int, evaluations: int, folder: Path
) -> PackSpec:
    """A pack on Python's standard library, with rates of which none diverges."""
    defaults = BaseHyperparameters.defaults_at(shape)
    rates = np.geomspace(0.002, 0.01, members)
    return PackSpec(
        name="benchmark",
        shape=shape,
        base=shape.at(n_kv_heads=shape.n_heads),
        parameterization=Parameterization(),
        training=TrainingSpec(
            steps=steps, batch_size=16, evaluations=evaluations, evaluation_batches=1
        ),
        data_seed=0,
        tokens=prepare(DataSpec(), shape.seq_len, folder / "tokens"),
        members=tuple(
            Member(
                number=number,
                seed=0,
                hyperparameters=BaseHyperparameters.model_validate(
                    defaults | {"learning_rate": rate}
                ),
            )
            for number, rate in enumerate(rates.tolist())
        ),
        threads=threads,
    )
