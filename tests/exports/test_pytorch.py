"""An export for PyTorch sets what the library sets, from files, with torch alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import proxytune
from proxytune.config.shape import Shape
from tests.exports.examples import BASE, TARGET, TUNED, carried_loader, export, small

VARIANTS: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({}, True),
    ({"qk_norm": True}, False),
    ({"qk_norm": True}, True),
    ({"tied": True}, False),
]
"""Changes of the shape, and whether it is folded; the library folds no tied model."""


def library(shape: Shape, folded: bool) -> dict[str, Any]:
    base = BASE.at(qk_norm=shape.qk_norm, tied=shape.tied)
    return {"base": base, "target": shape, "hyperparameters": TUNED, "folded": folded}


def settings_of(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parameter -> what it trains with."""
    names = {id(param): name for name, param in model.named_parameters()}
    keys = ("lr", "weight_decay", "eps", "betas")
    return {names[id(p)]: {key: g[key] for key in keys} for g in groups for p in g["params"]}


@pytest.mark.parametrize(("variant", "folded"), VARIANTS, ids=str)
@pytest.mark.parametrize("family", ["Llama", "Qwen2"])
def test_an_export_trains_and_starts_as_the_library(
    family: str, variant: dict[str, Any], folded: bool, tmp_path: Path
) -> None:
    shape = TARGET.at(**variant)
    model, other = (small("Qwen3" if shape.qk_norm else family, shape) for _ in range(2))
    export("pytorch", tmp_path, target=shape, folded=folded)
    projection = proxytune.load_projection(tmp_path)

    ours = settings_of(model, proxytune.param_groups(model, **library(shape, folded)))
    assert settings_of(model, projection.param_groups(model)) == ours

    proxytune.init_weights_(model, **library(shape, folded), seed=5)
    projection.init_weights_(other, seed=5)
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_the_loader_in_the_folder_is_the_package_s_own(tmp_path: Path) -> None:
    export("pytorch", tmp_path, folded=True)
    model = small("Llama")
    ours = proxytune.load_projection(tmp_path)
    theirs = carried_loader(tmp_path).load_projection(tmp_path)
    assert (theirs.forward, theirs.folded) == (ours.forward, ours.folded)
    assert theirs.folded is True
    assert settings_of(model, theirs.param_groups(model)) == settings_of(
        model, ours.param_groups(model)
    )
    assert [theirs.lr_factor(s, 40) for s in range(40)] == [
        ours.lr_factor(s, 40) for s in range(40)
    ]


def test_the_loader_in_the_folder_imports_torch_alone(tmp_path: Path) -> None:
    export("pytorch", tmp_path)
    script = (
        "import sys; import torch; before = set(sys.modules)\n"
        "import proxytune_projection as loader\n"
        "loader.load_projection('.')\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    new = set(ran.stdout.split()) - set(sys.stdlib_module_names)
    assert new == {"proxytune_projection"}


@pytest.mark.parametrize("folded", [False, True])
def test_forward_multipliers_are_the_library_s(folded: bool, tmp_path: Path) -> None:
    export("pytorch", tmp_path, folded=folded)
    ours = proxytune.forward_multipliers(**library(TARGET, folded))
    assert proxytune.load_projection(tmp_path).forward == {
        name: getattr(ours, name) for name in ("embedding", "attention", "residual", "logits")
    }


def test_other_names_take_patterns(tmp_path: Path) -> None:
    export("pytorch", tmp_path)
    projection = proxytune.load_projection(tmp_path)
    model = nn.ModuleDict({"table": nn.Embedding(256, 32), "up": nn.Linear(32, 72)})
    groups = projection.param_groups(model, {"table.*": "embedding", "up.*": "hidden"})
    assert [g["role"] for g in groups] == ["embedding", "hidden", "hidden bias"]
    with pytest.raises(ValueError, match=r"no role for up\.weight, up\.bias"):
        projection.param_groups(model, {"table.*": "embedding"})
    with pytest.raises(ValueError, match=r"no parameter for gone\.\*"):
        projection.param_groups(model, {"*": "hidden", "gone.*": "hidden"})


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    export("pytorch", tmp_path)
    projection = proxytune.load_projection(tmp_path)
    with pytest.raises(ValueError, match=r"embed_tokens.* 32 columns"):
        projection.param_groups(small("Llama", TARGET.at(d_model=64)))
    with pytest.raises(ValueError, match=r"k_proj.* 8 rows"):
        projection.param_groups(small("Llama", TARGET.at(n_kv_heads=4)))


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(proxytune.InputError, match=r"param_groups\.json"):
        proxytune.load_projection(tmp_path)


def test_the_readme_is_short_and_tells_clip_schedule_and_init(tmp_path: Path) -> None:
    report = export("pytorch", tmp_path, folded=True)
    readme = (tmp_path / "README.md").read_text()
    assert len(readme.splitlines()) < 20
    for word in ("clipped at 1", "warm-up", "init_weights_", "proxytune verify"):
        assert word in readme
    assert not report.clip.plain
    assert export("pytorch", tmp_path).clip.plain
