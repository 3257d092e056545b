"""Laws of the packed transformer."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.models.parametrize import build_model, pack_groups
from proxytune.models.roles import parameters
from proxytune.models.transformer import PackedTransformer
from proxytune.scaling.projection import Projection, project, roles_of
from proxytune.scaling.rules import Role
from proxytune.testing.packs import hyperparameters

VARIANTS = [{}, {"mlp": "gelu"}, {"tied": True}, {"qk_norm": True}, {"n_kv_heads": 4}]


def projection(shape: Shape, **settings: float) -> Projection:
    base = shape.at(n_kv_heads=shape.n_heads)
    return project(hyperparameters(**settings), base, shape, Parameterization())


def model_of(shape: Shape, members: int = 2) -> PackedTransformer:
    return build_model(shape, [projection(shape)] * members, list(range(members)))


def tokens(shape: Shape, sequences: int = 3, extra: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(shape.vocab_size, (sequences, shape.seq_len + extra), generator=draw)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_no_token_sees_a_later_one(shape: Shape, variant: dict[str, object]) -> None:
    model = model_of(shape.at(**variant))
    seen = tokens(shape)
    changed = seen.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 256
    before, after = (model(t).unflatten(1, seen.shape) for t in (seen, changed))
    torch.testing.assert_close(before[:, :, :9], after[:, :, :9])
    assert not torch.allclose(before[:, :, 9:], after[:, :, 9:])


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_gradients_of_one_members_loss_are_zero_for_the_others(
    shape: Shape, variant: dict[str, object]
) -> None:
    model = model_of(shape.at(**variant), members=3)
    torch.autograd.backward(model.loss(tokens(shape, extra=1))[1])
    for param in parameters(model):
        grad = param.tensor.grad
        assert grad is not None, param.name
        assert grad[0].abs().max() == grad[2].abs().max() == 0, param.name
        assert grad[1].abs().max() > 0, param.name


def test_repeating_heads_is_multi_head_attention_with_repeated_weights(shape: Shape) -> None:
    """Grouped heads (G, R) equal N = G·R heads whose K and V weights are the repeated ones."""
    grouped = model_of(shape)
    full_shape = shape.at(n_kv_heads=shape.n_heads)
    full = model_of(full_shape)
    weights = grouped.state_dict()
    for name, weight in weights.items():
        if ".key." in name or ".value." in name:
            heads = weight.unflatten(1, (shape.n_kv_heads, shape.head_dim))
            weights[name] = heads.repeat_interleave(shape.repeat, dim=1).flatten(1, 2)
    full.load_state_dict(weights)
    torch.testing.assert_close(grouped(tokens(shape)), full(tokens(shape)))


def test_the_forward_is_the_plain_formula(shape: Shape) -> None:
    """One member, written out with loops over heads and no batching of members."""
    settings = {"embedding_multiplier": 2.0, "residual_multiplier": 0.5}
    settings |= {"attention_multiplier": 1.5, "output_multiplier": 0.3}
    projected = projection(shape, **settings)
    model = build_model(shape, [projected], [0])
    ids = tokens(shape, sequences=1)
    w = {name: weight[0] for name, weight in model.state_dict().items()}

    def rms(x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    def turned(x: Tensor) -> Tensor:
        half = shape.head_dim // 2
        angle = torch.arange(shape.seq_len)[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        real = torch.view_as_complex(torch.stack((x[:, :half], x[:, half:]), -1).contiguous())
        out = real * torch.polar(torch.ones_like(angle), angle)
        return torch.cat((out.real, out.imag), -1)

    x = w["embedding.weight_KxVxD"][ids[0]] * 2.0
    future = torch.ones(shape.seq_len, shape.seq_len).triu(1).bool()
    for i in range(shape.n_layers):
        a = f"blocks.{i}.attention"
        q, k, v = (rms(x) @ w[f"{a}.{part}.weight_KxOxI"].T for part in ("query", "key", "value"))
        heads = []
        for n in range(shape.n_heads):
            mine = slice(n * shape.head_dim, (n + 1) * shape.head_dim)
            group = n // shape.repeat
            theirs = slice(group * shape.head_dim, (group + 1) * shape.head_dim)
            scores = turned(q[:, mine]) @ turned(k[:, theirs]).T * 1.5 / shape.head_dim**0.5
            heads.append(scores.masked_fill(future, -torch.inf).softmax(-1) @ v[:, theirs])
        x = x + 0.5 * torch.cat(heads, -1) @ w[f"{a}.out.weight_KxOxI"].T
        m = f"blocks.{i}.mlp"
        gate, inner = (rms(x) @ w[f"{m}.{part}.weight_KxOxI"].T for part in ("gate", "inner"))
        x = x + 0.5 * (F.silu(gate) * inner) @ w[f"{m}.out.weight_KxOxI"].T
    logits = 0.3 * rms(x) @ w["unembedding.weight_KxOxI"].T
    torch.testing.assert_close(model(ids)[0], logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_parameter_has_a_role_and_is_counted(
    shape: Shape, variant: dict[str, object]
) -> None:
    shape = shape.at(**variant)
    model = model_of(shape, members=1)
    assert sum(p.tensor.numel() for p in parameters(model)) == shape.count_parameters()
    assert len(parameters(model)) == len(list(model.parameters()))
    groups = pack_groups(model, [projection(shape)])
    # K and V are apart in this model; kv is for those that have them in one matrix.
    assert {group.role for group in groups} == set(roles_of(shape)) - {Role.KV}


def test_weights_start_at_the_projected_std(shape: Shape) -> None:
    wide = shape.at(d_model=128, n_heads=8, head_dim=16, d_ff=384)
    projected = project(hyperparameters(init_std=0.2), shape, wide, Parameterization())
    for param in parameters(build_model(wide, [projected], [0])):
        std = projected.roles[param.role].init_std
        if std is None:
            assert (param.tensor == 1).all(), param.name
        else:
            assert float(param.tensor.detach().std()) == pytest.approx(std, rel=0.05), param.name


def test_a_members_init_does_not_depend_on_its_place(shape: Shape) -> None:
    first = build_model(shape, [projection(shape)] * 3, [5, 6, 7])
    second = build_model(shape, [projection(shape)], [7])
    for name, weight in second.state_dict().items():
        torch.testing.assert_close(weight[0], first.state_dict()[name][2], rtol=0, atol=0)


def test_settings_reach_the_parameters_of_their_role(shape: Shape) -> None:
    wide = shape.at(d_model=64, n_layers=4, n_heads=8, n_kv_heads=2, head_dim=8, d_ff=192)
    projections = [
        project(hyperparameters(rate), shape, wide, Parameterization()) for rate in (0.1, 0.2)
    ]
    model = build_model(wide, projections, [0, 0])
    for group in pack_groups(model, projections):
        for name in ("lr", "weight_decay", "eps"):
            expected = [getattr(p.roles[group.role], name) for p in projections]
            assert getattr(group, f"{name}_K").tolist() == pytest.approx(expected)
    groups = {group.role: group for group in pack_groups(model, projections)}
    names = {id(p.tensor): p.name for p in parameters(model)}
    for role in (Role.KEY, Role.VALUE):
        params = groups[role].params
        assert len(params) == 4
        assert all(f".{role}." in names[id(p)] for p in params)


def test_activations_are_kept_unless_they_are_to_be_computed_again(shape: Shape) -> None:
    model = build_model(shape, [projection(shape)], [0])
    tokens = torch.arange(2 * (shape.seq_len + 1)).view(2, -1)

    def kept() -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            model.loss(tokens)
        return sum(sizes)

    before = kept()
    model.recompute_activations()
    assert kept() < before / 2
