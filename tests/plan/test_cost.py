"""FLOPs by formula are those that are counted."""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.load import validate
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.config.target import TargetSpec
from proxytune.errors import InputError
from proxytune.models.parametrize import build_model
from proxytune.plan.cost import Cost
from proxytune.scaling.projection import project
from tests.commands import TARGET


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(
    "variant", [{}, {"mlp": "gelu"}, {"tied": True}, {"n_kv_heads": 1}, {"head_dim": 8}], ids=str
)
def test_the_formula_is_what_torch_counts(
    shape: Shape, members: int, variant: dict[str, Any]
) -> None:
    """By the plain kernel, which does the whole square of scores: a causal mask saves nothing.

    The backward of a norm has a product with its gains, which the formula leaves out like all
    else that is no matrix.
    """
    shape, sequences = shape.at(**variant), 3
    projection = project(BaseHyperparameters(), shape, shape, Parameterization())
    model = build_model(shape, [projection] * members, [0] * members)
    tokens = torch.zeros(sequences, shape.seq_len + 1, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        torch.autograd.backward(model.loss(tokens).sum())
    trained = members * sequences * shape.seq_len
    of_norms = 2 * shape.d_model * (2 * shape.n_layers + 1)
    expected = trained * (shape.training_flops_per_token() + of_norms)
    assert counter.get_total_flops() == expected


def test_the_share_is_of_the_planned_run() -> None:
    target = validate(TargetSpec, TARGET | {"tokens": "1e6"}, "target")
    planned = 1e6 * target.shape.training_flops_per_token()
    cost = Cost.of(planned / 50, target)
    assert cost.target_flops == planned
    assert cost.share == pytest.approx(0.02)


def test_without_a_token_budget_there_is_no_share() -> None:
    cost = Cost.of(1e12, validate(TargetSpec, TARGET, "target"))
    assert (cost.target_flops, cost.share) == (None, None)


@pytest.mark.parametrize("tokens", [-1, 0, "many"])
def test_a_token_budget_is_a_number_above_zero(tokens: object) -> None:
    with pytest.raises(InputError, match="tokens = "):
        validate(TargetSpec, TARGET | {"tokens": tokens}, "target")
