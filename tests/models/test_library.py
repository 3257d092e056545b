"""Laws of the library: what it hands to torch.optim.AdamW is what a pack of one trains with."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import proxytune
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.data.batches import training_batch
from proxytune.data.tokens import TokenData
from proxytune.errors import InputError
from proxytune.models.parametrize import build_model, pack_groups
from proxytune.models.roles import OWN
from proxytune.models.transformer import ForwardMultipliers, PackedTransformer
from proxytune.scaling.projection import Forward, project
from proxytune.scaling.rules import Role
from proxytune.testing.packs import hyperparameters
from proxytune.training.optimizer import PackedAdamW

BASE = Shape(d_model=16, n_layers=2, n_heads=4, seq_len=16)
TARGET = Shape(d_model=24, n_layers=3, n_heads=6, n_kv_heads=2, head_dim=8, d_ff=50, seq_len=16)
TUNED = hyperparameters(
    0.02,
    weight_decay=0.3,
    eps=1e-6,
    embedding_multiplier=3.0,
    attention_multiplier=0.7,
    residual_multiplier=1.3,
    output_multiplier=2.0,
    kv_lr_multiplier=1.7,
)


def batches(tokens: Path, count: int) -> list[Tensor]:
    data = TokenData.load(tokens).train
    return [torch.as_tensor(training_batch(data, 0, step, 4, 16)) for step in range(count)]


def model_with(
    forward: Forward, shape: Shape, dtype: torch.dtype = torch.float32
) -> PackedTransformer:
    """proxytune's transformer with these multipliers, its weights not drawn yet."""
    names = ("embedding", "attention", "residual", "logits")
    by = {name: torch.tensor([getattr(forward, name)], dtype=torch.float64) for name in names}
    return PackedTransformer(shape, ForwardMultipliers(**by)).to(dtype)


def train(model: PackedTransformer, groups: list[dict[str, object]], on: list[Tensor]) -> Tensor:
    """Losses of every step, with torch's own AdamW, in the model's precision."""
    optimizer = torch.optim.AdamW(groups)
    losses = []
    for batch in on:
        loss = F.cross_entropy(model(batch[:, :-1])[0], batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def test_groups_train_as_a_pack_of_one(tokens: Path) -> None:
    settings = {"base": BASE, "target": TARGET, "hyperparameters": TUNED}
    model = model_with(proxytune.forward_multipliers(**settings), TARGET)
    proxytune.init_weights_(model, **settings, seed=5)
    ours = train(model, proxytune.param_groups(model, **settings), batches(tokens, 10))
    projection = project(TUNED, BASE, TARGET, Parameterization())
    packed = build_model(TARGET, [projection], [5])
    betas = (torch.tensor([TUNED.beta1]), torch.tensor([TUNED.beta2]))
    optimizer = PackedAdamW(pack_groups(packed, [projection]), *betas, clip_norm=None)
    for loss, batch in zip(ours, batches(tokens, 10), strict=True):
        packed_loss = packed.loss(batch)
        torch.autograd.backward(packed_loss.sum())
        optimizer.step(torch.ones(1))
        torch.testing.assert_close(packed_loss[0].detach(), loss, rtol=1e-5, atol=0)


FOLDED: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in ("sp", "mup", "completep")),
    *(("gqa-mup", variant) for variant in ({}, {"qk_norm": True}, {"mlp": "gelu"})),
]


@pytest.mark.parametrize(("name", "variant"), FOLDED, ids=str)
def test_folded_settings_train_the_same(
    tokens: Path, name: str, variant: dict[str, object]
) -> None:
    """Forty steps with all four multipliers, and without any: the same losses."""
    target = TARGET.at(**variant)
    settings = {"base": BASE.at(**variant), "target": target, "hyperparameters": TUNED}
    settings |= {"parameterization": name}
    losses = []
    for folded in (False, True):
        forward = proxytune.forward_multipliers(**settings, folded=folded)
        model = model_with(forward, target, torch.float64)
        proxytune.init_weights_(model, **settings, folded=folded)
        groups = proxytune.param_groups(model, **settings, folded=folded)
        losses.append(train(model, groups, batches(tokens, 40)))
    assert losses[0][-1] < losses[0][0] - 0.5
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-6)


def test_a_folded_model_has_no_multipliers() -> None:
    settings = {"base": BASE, "target": TARGET, "hyperparameters": TUNED}
    forward = proxytune.forward_multipliers(**settings, folded=True)
    assert (forward.embedding, forward.residual, forward.logits) == (1.0, 1.0, 1.0)
    assert forward.attention == pytest.approx(TARGET.head_dim**-0.5)


def test_a_tied_table_folds_only_if_both_its_multipliers_are_one_number() -> None:
    tied = {"base": BASE.at(tied=True), "target": TARGET.at(tied=True), "folded": True}
    with pytest.raises(InputError, match=r"multiplied by 3 on the way in and by 1\.33333 on the"):
        proxytune.forward_multipliers(**tied, hyperparameters=TUNED)
    even = hyperparameters(embedding_multiplier=2 / 1.5, output_multiplier=2.0)
    proxytune.forward_multipliers(**tied, hyperparameters=even)


def test_gains_start_at_one_and_biases_at_zero(shape: Shape) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=48,
            vocab_size=256,
            attention_bias=True,
        )
    )
    for param in model.parameters():
        torch.nn.init.constant_(param, 7.0)
    proxytune.init_weights_(model, base=shape, target=shape, hyperparameters={})
    for name, param in model.named_parameters():
        if "norm" in name or "bias" in name:
            assert (param == float("norm" in name)).all(), name
        else:
            expected = 1.0 if "embed" in name else 16**-0.5
            assert float(param.detach().std()) == pytest.approx(expected, rel=0.15), name


ROLES_OF_VECTORS = ("norm", "qk_norm", "final_norm")


def test_every_bias_of_every_role_starts_at_zero() -> None:
    """Also that of a LayerNorm, whose pattern names a role of gains."""
    shape = Shape(d_model=16, n_layers=1, n_heads=4, d_ff=40, qk_norm=True)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(256, 16)
            for name, rows, columns in (
                *(("query", 16, 16), ("key", 16, 16), ("value", 16, 16), ("kv", 16, 16)),
                *(("hidden", 40, 16), ("attention_out", 16, 16), ("mlp_out", 16, 40)),
                ("unembedding", 256, 16),
            ):
                self.add_module(name, torch.nn.Linear(columns, rows))
            for name in ROLES_OF_VECTORS:
                self.add_module(name, torch.nn.LayerNorm(16))

    model = Model()
    for param in model.parameters():
        torch.nn.init.constant_(param, 7.0)
    patterns = {f"{name}.*": name for name, _ in model.named_children()}
    assert set(patterns.values()) == set(Role)
    for folded in (False, True):
        settings = {"base": shape, "target": shape, "hyperparameters": {"output_multiplier": 2.0}}
        proxytune.init_weights_(model, **settings, patterns=patterns, folded=folded)
        for name, param in model.named_parameters():
            if name.endswith("bias"):
                assert (param == 0).all(), name
            elif name.partition(".")[0] in ROLES_OF_VECTORS:
                assert (param == 1).all(), name
        groups = proxytune.param_groups(model, **settings, patterns=patterns, folded=folded)
        decays = {g["role"]: g["weight_decay"] for g in groups}
        assert {decays[f"{role} bias"] for role in (*ROLES_OF_VECTORS, "query")} == {0.0}


def test_the_name_kv_is_for_keys_and_values_that_share_their_settings() -> None:
    projection = project(TUNED, BASE, TARGET, Parameterization())
    model = build_model(TARGET, [projection], [0])
    patterns = {
        **{name: role for name, role in OWN.items() if "query_norm" not in name},
        "blocks.*.attention.key.*": "kv",
        "blocks.*.attention.value.*": "kv",
    }
    patterns = {n: r for n, r in patterns.items() if "key_norm" not in n}
    settings = {"base": BASE, "target": TARGET, "patterns": patterns}
    by_role = {
        group["role"]: group
        for group in proxytune.param_groups(model, hyperparameters=TUNED, **settings)
    }
    assert by_role["kv"]["lr"] == projection.roles[Role.KEY].lr
    assert len(by_role["kv"]["params"]) == 6
    apart = {"key_lr_multiplier": 2.0}
    with pytest.raises(InputError, match=r"is kv, but key_lr_multiplier and value_lr_mult"):
        proxytune.param_groups(model, hyperparameters=apart, **settings)


def test_hyperparameters_may_be_plain_and_are_checked(shape: Shape) -> None:
    with pytest.raises(InputError, match=r"hyperparameters: learning_rat: unknown key; did you"):
        proxytune.forward_multipliers(
            base=shape, target=shape, hyperparameters={"learning_rat": 0.1}
        )
    with pytest.raises(InputError, match=r"target: n_kv_heads = 3: must divide"):
        proxytune.forward_multipliers(
            base=shape, target=shape.model_dump() | {"n_kv_heads": 3}, hyperparameters={}
        )


def test_schedules_of_torch_move_every_group(shape: Shape) -> None:
    settings = {"base": shape, "target": shape, "hyperparameters": TUNED}
    model = model_with(proxytune.forward_multipliers(**settings), shape)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **settings))
    peaks = [group["lr"] for group in optimizer.param_groups]
    assert len({*peaks}) > 1
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for step in range(1, 4):
        optimizer.step()
        schedule.step()
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([peak / (1 + step) for peak in peaks])
