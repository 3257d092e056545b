"""What every format writes, and what each of them cannot take."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import proxytune
from proxytune.exports.formats import FORMATS
from proxytune.exports.load import load_document
from tests.exports.examples import TARGET, TRAINING, export, projected

NAMES = {
    "torchtitan": [
        "tok_embeddings.weight",
        *(f"layers.0.attention.qkv_linear.{name}.weight" for name in ("wq", "wk", "wv")),
        "layers.0.attention.wo.weight",
        *(f"layers.0.feed_forward.{name}.weight" for name in ("w1", "w2", "w3")),
        "layers.0.attention_norm.weight",
        "layers.0.ffn_norm.weight",
        "norm.weight",
        "lm_head.weight",
    ],
    "olmo-core": [
        "embeddings.weight",
        *(f"blocks.0.attention.{name}.weight" for name in ("w_q", "w_k", "w_v", "w_out")),
        *(f"blocks.0.feed_forward.{name}.weight" for name in ("w1", "w2", "w3")),
        "blocks.0.attention_norm.weight",
        "blocks.0.feed_forward_norm.weight",
        "lm_head.norm.weight",
        "lm_head.w_out.weight",
    ],
    "megatron": [
        "embedding.word_embeddings.weight",
        "decoder.layers.0.self_attention.linear_qkv.weight",
        "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight",
        "decoder.layers.0.self_attention.linear_proj.weight",
        "decoder.layers.0.mlp.linear_fc1.weight",
        "decoder.layers.0.mlp.linear_fc1.layer_norm_weight",
        "decoder.layers.0.mlp.linear_fc2.weight",
        "decoder.layers.0.input_layernorm.weight",
        "decoder.layers.0.pre_mlp_layernorm.weight",
        "decoder.final_layernorm.weight",
        "output_layer.weight",
    ],
}
"""Parameters of the libraries' own models of one layer: torchtitan 0.3, OLMo-core 3,
Megatron-core 0.19 with Transformer Engine and without."""


@pytest.mark.parametrize("trainer", FORMATS)
@pytest.mark.parametrize("variant", [{}, {"tied": True}, {"qk_norm": True}], ids=str)
def test_every_export_has_all_roles_and_can_be_loaded(
    trainer: str, variant: dict[str, Any], tmp_path: Path
) -> None:
    report = export(trainer, tmp_path, target=TARGET.at(**variant))
    document = load_document(tmp_path)
    assert document.trainer == report.trainer == trainer
    roles = {group.role for group in document.groups if not group.role.endswith("bias")}
    fused = {"key", "value"} if trainer == "megatron" else set()
    assert roles == projected(target=TARGET.at(**variant)).scaling.roles.keys() - {"kv"} - fused
    assert len((tmp_path / "README.md").read_text().splitlines()) < 25


@pytest.mark.parametrize("trainer", NAMES)
def test_every_parameter_is_in_the_group_of_its_role(trainer: str, tmp_path: Path) -> None:
    export(trainer, tmp_path)
    groups = load_document(tmp_path).groups
    for name in NAMES[trainer]:
        found = [g.role for g in groups if any(fnmatchcase(name, p) for p in g.patterns)]
        assert found, name
        # torchtitan takes the first that matches; the others want patterns that are disjoint.
        assert len(found) == 1 or (trainer == "torchtitan" and found[-1] == "final_norm")
    matched = {p for g in groups for p in g.patterns}
    assert all(any(fnmatchcase(n, p) for n in NAMES[trainer]) for p in matched)


def test_torchtitan_s_expressions_match_what_the_patterns_match(tmp_path: Path) -> None:
    export("torchtitan", tmp_path)
    expressions = re.findall(r'pattern=r"(.*?)"', (tmp_path / "torchtitan_groups.py").read_text())
    groups = load_document(tmp_path).groups
    for expression, group in zip(expressions, groups, strict=True):
        for name in NAMES["torchtitan"]:
            matches = any(fnmatchcase(name, p) for p in group.patterns)
            assert bool(re.search(expression, name)) is matches


def test_megatron_drops_the_kv_rule_and_tells_its_cost(tmp_path: Path) -> None:
    (dropped, *_) = export("megatron", tmp_path).dropped
    assert dropped.roles == ("key", "value")
    assert "K/V rule" in dropped.what
    assert "0.667 times its learning rate" in dropped.cost
    assert "kv_rule: none" in dropped.cost
    assert "Dropped: the K/V rule" in (tmp_path / "README.md").read_text()
    assert (
        "K/V rule"
        in json.loads((tmp_path / "param_groups.json").read_text())["dropped"][0]["what"]
    )


def test_megatron_drops_no_kv_rule_where_there_is_none(tmp_path: Path) -> None:
    dropped = export("megatron", tmp_path, parameterization="gqa-mup:kv_rule=none").dropped
    assert not [item for item in dropped if "K/V" in item.what]


def test_megatron_s_flags_give_the_forward_multipliers(tmp_path: Path) -> None:
    export("megatron", tmp_path)
    lines = (tmp_path / "flags.txt").read_text().splitlines()
    flags = dict(line.removeprefix("--").partition(" ")[::2] for line in lines)
    forward = load_document(tmp_path).forward
    # softmax_scale = √mup_base_head_dim / head_dim^mup_attn_scale_power
    scale = float(flags["mup-base-head-dim"]) ** 0.5 / TARGET.head_dim
    assert flags["mup-attn-scale-power"] == "1.0"
    assert scale == pytest.approx(forward.attention)
    assert flags["mup-base-hidden-size"] == str(TARGET.d_model)
    assert float(flags["mup-output-mult"]) == forward.logits
    assert float(flags["mup-embedding-mult"]) == forward.embedding
    assert forward.residual == 1
    assert "untie-embeddings-and-output-weights" in flags


@pytest.mark.parametrize("trainer", ["torchtitan", "olmo-core"])
def test_a_plain_mlp_is_refused_where_there_is_none(trainer: str) -> None:
    with pytest.raises(proxytune.InputError, match="mlp = 'gelu'"):
        FORMATS[trainer].export(projected(target=TARGET.at(mlp="gelu")))


def test_megatron_is_not_folded() -> None:
    with pytest.raises(proxytune.InputError, match="--folded"):
        FORMATS["megatron"].export(projected(folded=True))


@pytest.mark.parametrize("trainer", FORMATS)
def test_a_study_without_clipping_says_so(trainer: str, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"clip_norm": None})
    report = export(trainer, tmp_path, training=training)
    assert report.clip.plain
    assert "without" in report.clip.says


@pytest.mark.parametrize("trainer", ["torchtitan", "megatron", "olmo-core"])
def test_a_tied_head_is_told_of_where_it_needs_a_patch(trainer: str, tmp_path: Path) -> None:
    report = export(trainer, tmp_path, target=TARGET.at(tied=True))
    assert report.forward["logits"] != 1
    patched = "scale_logits_" in (tmp_path / "README.md").read_text()
    assert patched is (trainer != "megatron")
