"""AdamW's eps follows the size of each role's gradient, so that it matters as much everywhere.

Measured on the real model at init: eps over the RMS of the role's gradient has no slope along
width, depth or repeat factor.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

import proxytune
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.models.parametrize import build_model, pack_groups
from proxytune.scaling.folding import fold_projection
from proxytune.scaling.projection import Projection, project
from proxytune.scaling.rules import Role

TOLERANCE = 0.15
SEEDS, SEQUENCES = 6, 8
BASE = Shape(d_model=64, n_layers=2, n_heads=8, n_kv_heads=4, seq_len=32)
SMALL = {"residual_multiplier": 0.02, "unembedding_init_std": 0.02}
"""Where the theory's limit is near: first-order terms of the branches and logits alone."""


def wider(by: int, grows: str) -> Shape:
    heads = {"n_heads": 8 * by, "n_kv_heads": 4 * by, "head_dim": 8}
    larger = heads if grows == "number" else {"head_dim": 8 * by}
    return BASE.at(d_model=64 * by, d_ff=192 * by, **larger)


AXES: dict[str, list[tuple[float, Shape]]] = {
    "width, heads in number": [(by, wider(by, "number")) for by in (1, 2, 4)],
    "width, heads in size": [(by, wider(by, "size")) for by in (1, 2, 4)],
    "depth": [(by, BASE.at(n_layers=2 * by)) for by in (1, 2, 4)],
    "repeat": [(r, BASE.at(n_kv_heads=8 // r)) for r in (1, 2, 4, 8)],
}
UNRELATED: dict[str, dict[Role, float]] = {
    "width, heads in number": {Role.QK_NORM: 0.5},
    "width, heads in size": {Role.QUERY: 0.5, Role.KEY: 0.5, Role.QK_NORM: 0.5},
}
"""At init, q and k (and v and the gradient) are unrelated, so sums over a head's n numbers, or of
a gain over the heads, are √n and not n: the same √ as in attention's 1/head_dim, which is made for
what they become in training."""


def gradients(shape: Shape, projection: Projection) -> dict[Role, float]:
    """RMS of each role's gradient at init, over seeds and the role's parameters."""
    model = build_model(shape, [projection] * SEEDS, range(SEEDS))
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(256, (SEQUENCES, shape.seq_len + 1), generator=draw)
    torch.autograd.backward(model.loss(tokens).sum())
    sizes: dict[Role, float] = {}
    for group in pack_groups(model, [projection] * SEEDS):
        numbers = torch.cat([p.grad.flatten() for p in group.params if p.grad is not None])
        sizes[group.role] = float(numbers.square().mean().sqrt())
    return sizes


def slopes(axis: str, label: str, variant: dict[str, object]) -> dict[Role, float]:
    """Of log(eps / RMS of the gradient) over log of the axis, by role."""
    base, rules = BASE.at(**variant), Parameterization.model_validate(label)
    hp = BaseHyperparameters.model_validate(BaseHyperparameters.defaults_at(base) | SMALL)
    found: dict[Role, list[float]] = {}
    for _, plain in AXES[axis]:
        shape = plain.at(**variant)
        projection = project(hp, base, shape, rules)
        for role, size in gradients(shape, projection).items():
            found.setdefault(role, []).append(projection.roles[role].eps / size)
    at = np.log([x for x, _ in AXES[axis]])
    return {role: float(np.polyfit(at, np.log(y), 1)[0]) for role, y in found.items()}


VARIANTS: Sequence[dict[str, object]] = ({}, {"qk_norm": True}, {"tied": True}, {"mlp": "gelu"})


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("axis", AXES)
def test_eps_follows_the_gradient_of_every_role(axis: str, variant: dict[str, object]) -> None:
    found = slopes(axis, "gqa-mup", variant)
    assert len(found) == 10 + ("qk_norm" in variant) - ("tied" in variant)
    expected = UNRELATED.get(axis, {})
    off = {role: s for role, s in found.items() if abs(s - expected.get(role, 0.0)) > TOLERANCE}
    assert off == {}


def test_keys_and_values_add_up_gradients_whatever_their_rule() -> None:
    """Under `spectral`, keys get smaller gradients through values that start smaller."""
    plain, spectral = (slopes("repeat", f"gqa-mup:kv_rule={r}", {}) for r in ("none", "spectral"))
    for slope in (plain[Role.KEY], plain[Role.VALUE], spectral[Role.VALUE]):
        assert abs(slope) < TOLERANCE


@pytest.mark.parametrize("label", ["mup", "completep"])
def test_narrower_parameterizations_have_the_columns_of_eps_that_they_have_rules_for(
    label: str,
) -> None:
    along = ["width, heads in number", *(["depth"] if label == "completep" else [])]
    for axis in along:
        off = {r: s for r, s in slopes(axis, label, {}).items() if abs(s) > TOLERANCE}
        assert off == {}, axis


@pytest.mark.parametrize("version", [1, 2])
def test_a_folded_unembedding_has_the_eps_of_the_base_at_every_width(version: int) -> None:
    """Version 1 did not, which is why there is a second."""
    base = Shape(d_model=32, n_layers=2, n_heads=4)
    rules = Parameterization(rules_version=version)
    eps = []
    for d_model in (32, 64, 4096):
        target = base.at(d_model=d_model, n_heads=d_model // 8, d_ff=3 * d_model)
        projection = project(BaseHyperparameters(), base, target, rules)
        eps.append(fold_projection(projection, target).roles[Role.UNEMBEDDING].eps)
    by_width = [1e-8, 1e-8, 1e-8] if version == 2 else [1e-8, 2e-8, 1.28e-6]
    assert eps == pytest.approx(by_width)


def test_param_groups_fold_the_unembedding_to_the_eps_of_the_base() -> None:
    base = Shape(d_model=32, n_layers=2, n_heads=4)
    for d_model in (32, 64, 128):
        target = base.at(d_model=d_model, n_heads=d_model // 8, d_ff=3 * d_model)
        settings = {"base": base, "target": target, "hyperparameters": {"eps": 1e-7}}
        projection = project(BaseHyperparameters(), base, target, Parameterization())
        model = build_model(target, [projection], [0])
        groups = proxytune.param_groups(model, **settings, folded=True)
        (head,) = (group for group in groups if group["role"] == "unembedding")
        assert head["eps"] == pytest.approx(1e-7)
