"""Every parameter has one role; a model that does not fit is refused with all that is wrong."""

import re

import pytest
import torch
from torch import nn

import proxytune
from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.models.parametrize import build_model
from proxytune.models.roles import parameters
from proxytune.scaling.projection import project

SHAPE = Shape(d_model=16, n_layers=1, n_heads=4, n_kv_heads=2, d_ff=40)
SETTINGS = {"base": SHAPE, "target": SHAPE, "hyperparameters": {"learning_rate": 0.02}}


class Decoder(nn.Module):
    """Somebody's model: names of its own, one layer, biases."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(256, 16)
        self.to_q = nn.Linear(16, 16)
        if fused:
            self.mixer = nn.Linear(16, 32)
        else:
            self.to_k, self.to_v = nn.Linear(16, 8), nn.Linear(16, 8)
        self.merge = nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 40), nn.Linear(40, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 256)


PATTERNS = {
    "tokens.*": "embedding",
    "to_q.*": "query",
    "to_[kv].*": "kv",
    "merge.*": "attention_out",
    "up.*": "hidden",
    "down.*": "mlp_out",
    "norm.*": "norm",
    "head.*": "unembedding",
}


def test_patterns_give_every_parameter_of_any_model_a_role() -> None:
    model = Decoder()
    groups = proxytune.param_groups(model, **SETTINGS, patterns=PATTERNS)
    given = [id(p) for group in groups for p in group["params"]]
    assert sorted(given) == sorted(map(id, model.parameters()))
    by_role = {group["role"]: group for group in groups}
    assert by_role["kv"]["lr"] == pytest.approx(0.02 * (1 + 2**0.5) / 2)
    assert by_role["kv bias"]["lr"] == by_role["norm"]["lr"] == 0.02
    assert by_role["kv bias"]["weight_decay"] == 0.0


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        (PATTERNS | {"gate.*": "hidden", "skip.*": "norm"}, r"gate\.\*, skip\.\* match no param"),
        (
            {k: v for k, v in PATTERNS.items() if k not in ("up.*", "norm.*")},
            r"no role for up\.weight, up\.bias, norm\.weight, norm\.bias; give each a pattern",
        ),
        (PATTERNS | {"up.*": "mlp_in"}, "'mlp_in': is no role; there are embedding, query"),
        (PATTERNS | {"down.*": "hidden"}, r"down\.weight \(16, 40\) is no hidden matrix with 16"),
        (PATTERNS | {"up.*": "kv"}, r"up\.weight \(40, 16\) is no kv matrix with 8 rows"),
        (None, "the roles in a Decoder are not known"),
    ],
)
def test_what_does_not_fit_is_listed(patterns: dict[str, str] | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        proxytune.param_groups(Decoder(), **SETTINGS, patterns=patterns)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n_layers": 2}, "target.n_layers = 2: the model has 1"),
        ({"tied": True}, "target.tied = true: but the model has one unembedding"),
        ({"d_ff": 48}, r"down\.weight \(16, 40\) is no mlp_out matrix with 48 columns"),
        ({"n_kv_heads": 4}, r"to_k\.weight \(8, 16\) is no kv matrix with 16 rows"),
    ],
)
def test_a_target_that_is_not_the_models_shape_is_refused(
    changes: dict[str, object], says: str
) -> None:
    settings = SETTINGS | {"target": SHAPE.at(**changes)}
    with pytest.raises(InputError, match=says):
        proxytune.param_groups(Decoder(), **settings, patterns=PATTERNS)


FUSED = {"mixer.*": "hidden"} | {k: v for k, v in PATTERNS.items() if k not in ("to_[kv].*",)}


@pytest.mark.parametrize("options", ["gqa-mup", {"name": "gqa-mup", "kv_rule": "spectral"}])
def test_fused_qkv_is_refused_where_k_and_v_have_a_rule(options: object) -> None:
    """Found by its rows: q_dim + 2 kv_dim = 32."""
    with pytest.raises(InputError, match=r"mixer\.weight: holds Q, K and V in one matrix"):
        proxytune.param_groups(
            Decoder(fused=True), **SETTINGS, patterns=FUSED, parameterization=options
        )


def test_fused_qkv_is_refused_by_its_name() -> None:
    model = Decoder()
    model.c_attn = model.up
    del model.up
    patterns = {"c_attn.*": "hidden"} | {k: v for k, v in PATTERNS.items() if k != "up.*"}
    with pytest.raises(InputError, match=r"c_attn\.weight: holds Q, K and V"):
        proxytune.param_groups(model, **SETTINGS, patterns=patterns)


@pytest.mark.parametrize("options", ["completep", "mup", "sp", {"kv_rule": "none"}])
def test_fused_qkv_may_be_hidden_where_k_and_v_have_none(options: object) -> None:
    groups = proxytune.param_groups(
        Decoder(fused=True), **SETTINGS, patterns=FUSED, parameterization=options
    )
    assert sum(len(group["params"]) for group in groups) == 15


def test_wrapped_names_are_the_same_names() -> None:
    projection = project(BaseHyperparameters(), SHAPE, SHAPE, Parameterization())
    model = build_model(SHAPE, [projection], [0])
    plain = [(p.name, p.role) for p in parameters(model)]
    wrapped = nn.ModuleDict({"module": torch.compile(model)})
    assert [(p.name, p.role) for p in parameters(wrapped)] == plain
    assert not any(re.search("module|_orig_mod", name) for name, _ in plain)
