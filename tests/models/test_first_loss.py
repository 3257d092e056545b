"""A model with default base hyperparameters starts as a uniform guess does, at ln V nats."""

import math

import pytest
import torch

import proxytune
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.models.parametrize import build_model
from proxytune.scaling.projection import project

WIDTHS = [32, 64, 128, 256, 512]
SPACE = {"space": {"learning_rate": {"low": 0.001, "high": 0.1}}}


def first_loss(hyperparameters: BaseHyperparameters, base: Shape, shape: Shape) -> float:
    projection = project(hyperparameters, base, shape, Parameterization())
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(256, (4, shape.seq_len + 1), generator=draw)
    with torch.no_grad():
        return float(build_model(shape, [projection], [0]).loss(tokens))


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_loss_is_that_of_a_guess(width: int, tied: bool, qk_norm: bool) -> None:
    proxy = Shape(
        d_model=width, n_layers=2, n_heads=4, n_kv_heads=2, seq_len=32, tied=tied, qk_norm=qk_norm
    )
    spec = StudySpec.model_validate({"name": "first", "proxy": proxy, "search": SPACE})
    wider = proxy.at(d_model=2 * width, n_heads=8, n_kv_heads=2, head_dim=width // 4)
    for shape in (proxy, wider):
        loss = first_loss(spec.hyperparameters, spec.base, shape)
        # Untied, logits have an RMS of 1 at the base, which costs σ²/2 = 0.5 nats.
        over = loss - math.log(256) - (0.0 if tied else 0.5 * (shape == proxy))
        assert abs(over) < (0.5 if tied else 0.4)


def test_plain_hyperparameters_of_the_library_get_the_same_defaults() -> None:
    base = Shape(d_model=128, n_layers=2, n_heads=4, tied=True)
    for shape in (base, base.at(tied=False)):
        forward = proxytune.forward_multipliers(base=base, target=shape, hyperparameters={})
        assert forward.logits == pytest.approx(4 / 128 if shape.tied else 1.0)
