"""Sizes and observations against what they are defined to be."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.observe import ATTENTION_LOGITS, observe
from proxytune.coordinates.sizes import Quantity, activation_sizes, eps_sizes, weight_sizes
from proxytune.models.parametrize import build_model
from proxytune.models.roles import parameters
from proxytune.scaling.projection import project
from proxytune.scaling.rules import Role
from proxytune.testing.packs import hyperparameters

SHAPE = Shape(d_model=32, n_layers=2, n_heads=8, n_kv_heads=2, seq_len=16)


def model_of(shape: Shape) -> Any:
    settings = hyperparameters(init_std=0.3, attention_multiplier=1.7, output_multiplier=0.5)
    projection = project(settings, shape, shape, Parameterization())
    return build_model(shape, [projection], [0])


def probe() -> Tensor:
    return torch.randint(256, (3, 16), generator=torch.Generator().manual_seed(0))


def test_the_model_computes_the_same_when_it_is_observed() -> None:
    model = model_of(SHAPE)
    before = model(probe()).detach()
    seen = observe(model, parameters(model), probe())
    assert torch.equal(seen.activations[Role.UNEMBEDDING][0], before)
    assert torch.equal(model(probe()).detach(), before)
    assert not any(module._forward_hooks for module in model.modules())


def test_every_role_is_seen_once_a_module() -> None:
    model = model_of(SHAPE)
    seen = observe(model, parameters(model), probe())
    counts = {str(role): len(outputs) for role, outputs in seen.activations.items()}
    assert counts == {
        **{"embedding": 1, "query": 2, "key": 2, "value": 2, "kv": 4, "attention_out": 2},
        **{"hidden": 4, "mlp_out": 2},
        **{"norm": 4, "final_norm": 1, "unembedding": 1, ATTENTION_LOGITS: 2},
    }


def test_attention_logits_are_those_behind_the_softmax() -> None:
    """Of the first position there is one: its own q·k, with the scale and the rotation."""
    shape = SHAPE.at(n_layers=1, n_kv_heads=8)
    model = model_of(shape)
    seen = observe(model, parameters(model), probe())
    attention = model.blocks[0].attention
    x = model.blocks[0].attention_norm(model.embedding(probe().flatten()))
    heads = (attention.query(x).view(3, 16, 8, 4), attention.key(x).view(3, 16, 8, 4))
    first = (heads[0][:, 0] * heads[1][:, 0]).sum(-1) * 1.7 / 2
    torch.testing.assert_close(seen.activations[ATTENTION_LOGITS][0][..., 0], first)


def moved(model: nn.Module, by: float) -> dict[str, Tensor]:
    """Takes a step of its own on every weight; returns where they were."""
    start = {p.name: p.tensor.detach().clone() for p in parameters(model)}
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for param in parameters(model):
            param.tensor.add_(by * torch.randn(param.tensor.shape, generator=draw))
    return start


def test_weights_are_measured_by_their_definition() -> None:
    """K and V as the matrix that attention uses: every row of a head repeated r times."""
    model = model_of(SHAPE.at(n_layers=1))
    params = parameters(model)
    before = observe(model, params, probe())
    start = moved(model, 0.01)
    after = observe(model, params, probe())
    sizes = weight_sizes(params, start, before, after, SHAPE.repeat)
    spectral, expected, relative = [], [], []
    for name in ("key", "value"):
        param = next(p for p in params if f".{name}." in p.name)
        old, new = (
            w[0].view(2, 4, 32).repeat_interleave(4, dim=0).flatten(0, 1)
            for w in (start[param.name], param.tensor.detach())
        )
        x_before, x_after = before.inputs_NxI[param.name], after.inputs_NxI[param.name]
        spectral.append(float(torch.linalg.svdvals(old)[0]))
        expected.append(float(((x_before @ old.T).norm(dim=1) / x_before.norm(dim=1)).mean()))
        update = float((((x_after @ (new - old).T).norm(dim=1)) / x_after.norm(dim=1)).mean())
        relative.append(update / expected[-1])
    assert sizes[Role.KV, Quantity.WEIGHT_SPECTRAL] == pytest.approx(sum(spectral) / 2)
    assert sizes[Role.KV, Quantity.WEIGHT_EXPECTED] == pytest.approx(sum(expected) / 2)
    assert sizes[Role.KV, Quantity.RELATIVE_UPDATE_EXPECTED] == pytest.approx(sum(relative) / 2)


def test_an_embedding_is_measured_on_the_rows_that_are_read() -> None:
    model = model_of(SHAPE)
    params = parameters(model)
    before = observe(model, params, probe())
    start = moved(model, 0.01)
    sizes = weight_sizes(params, start, before, before, SHAPE.repeat)
    rows = start["embedding.weight_KxVxD"][0][probe().flatten()]
    assert sizes[Role.EMBEDDING, Quantity.WEIGHT_EXPECTED] == pytest.approx(
        float(rows.norm(dim=1).mean())
    )
    assert (Role.EMBEDDING, Quantity.WEIGHT_SPECTRAL) not in sizes


def test_repeated_weights_are_flat_in_one_norm_and_grow_in_the_other() -> None:
    """At init, ‖W_rep‖_E does not see r; ‖W_rep‖ grows as (1 + √r)/2."""
    spectral, expected = {}, {}
    for repeat in (1, 4, 16):
        shape = Shape(d_model=256, n_layers=1, n_heads=16, n_kv_heads=16 // repeat, seq_len=16)
        model = model_of(shape)
        params = parameters(model)
        seen = observe(model, params, probe())
        sizes = weight_sizes(params, moved(model, 0.01), seen, seen, repeat)
        spectral[repeat] = sizes[Role.KV, Quantity.WEIGHT_SPECTRAL]
        expected[repeat] = sizes[Role.KV, Quantity.WEIGHT_EXPECTED]
    assert spectral[4] / spectral[1] == pytest.approx(1.5, rel=0.05)
    assert spectral[16] / spectral[1] == pytest.approx(2.5, rel=0.08)
    assert expected[16] / expected[1] == pytest.approx(1.0, rel=0.08)


def test_without_a_step_nothing_has_changed() -> None:
    model = model_of(SHAPE)
    seen = observe(model, parameters(model), probe())
    sizes = activation_sizes(seen, seen)
    assert all(size == 0 for (_, q), size in sizes.items() if q is Quantity.ACTIVATION_CHANGE)
    assert all(size > 0 for (_, q), size in sizes.items() if q is Quantity.ACTIVATION)


def test_a_change_is_that_by_weights_and_that_by_inputs() -> None:
    """W_t·x_t − W_0·x_0 = (W_t − W_0)·x_t + W_0·(x_t − x_0)."""
    model = model_of(SHAPE.at(n_layers=1))
    params = parameters(model)
    before = observe(model, params, probe())
    start = moved(model, 0.01)
    after = observe(model, params, probe())
    sizes = weight_sizes(params, start, before, after, SHAPE.repeat)
    name = "blocks.0.attention.out.weight_KxOxI"
    old, new = start[name][0], model.get_parameter(name).detach()[0]
    x_before, x_after = before.inputs_NxI[name], after.inputs_NxI[name]
    by_weights, by_inputs = x_after @ (new - old).T, (x_after - x_before) @ old.T
    role = Role.ATTENTION_OUT
    for quantity, part in (
        (Quantity.CHANGE_BY_WEIGHTS, by_weights),
        (Quantity.CHANGE_BY_INPUTS, by_inputs),
    ):
        assert sizes[role, quantity] == pytest.approx(float(part.square().mean().sqrt()))
    change = after.activations[role][0] - before.activations[role][0]
    torch.testing.assert_close(by_weights + by_inputs, change[0], atol=1e-5, rtol=1e-4)


def test_attention_that_sees_all_alike_has_the_entropy_of_its_past() -> None:
    """Without queries every logit is 0: position t looks at t + 1 places alike."""
    model = model_of(SHAPE)
    with torch.no_grad():
        for block in model.blocks:
            block.attention.query.weight_KxOxI.zero_()
    seen = observe(model, parameters(model), probe())
    uniform = torch.arange(1, 17).log().mean()
    assert seen.entropies == pytest.approx([float(uniform)] * 2)


def test_the_largest_logit_is_that_of_a_head() -> None:
    model = model_of(SHAPE)
    seen = observe(model, parameters(model), probe())
    logits = seen.activations[ATTENTION_LOGITS]
    by_head = torch.stack([of.abs().amax(-1) for of in logits])
    assert by_head.shape == (2, 3, 8)
    largest = activation_sizes(seen, seen)[ATTENTION_LOGITS, Quantity.LARGEST]
    assert largest == pytest.approx(float(by_head.mean()))


def test_eps_is_held_against_the_gradient_of_its_role() -> None:
    model = model_of(SHAPE)
    params = parameters(model)
    model.loss(torch.randint(256, (2, 17))).sum().backward()
    groups = [{"params": [p.tensor], "eps": 1e-8 * i} for i, p in enumerate(params, 1)]
    sizes = eps_sizes(groups, params)
    place, table = next((i, p) for i, p in enumerate(params, 1) if p.role is Role.UNEMBEDDING)
    assert table.tensor.grad is not None
    rms = float(table.tensor.grad.square().mean().sqrt())
    found = sizes[Role.UNEMBEDDING, Quantity.EPS_OVER_GRADIENT]
    assert found == pytest.approx(1e-8 * place / rms)
    assert {role for role, _ in sizes} == {str(p.role) for p in params} | {Role.KV}
