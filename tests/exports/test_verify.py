"""A trainer that took the projection passes; each known mistake is found and called by name."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

import proxytune
from proxytune.exports.verdict import VerifyReport
from proxytune.models.portable import Projection
from proxytune.trainer import describe
from tests.exports.examples import TARGET, TUNED, export, small

Groups = list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export for a model that applies forward multipliers."""
    export("pytorch", tmp_path)
    return tmp_path


@pytest.fixture
def projection(folder: Path) -> Projection:
    return proxytune.load_projection(folder)


@pytest.fixture
def model(projection: Projection) -> nn.Module:
    """A model that starts as projected."""
    llama = small("Llama")
    projection.init_weights_(llama)
    return llama


def verified(folder: Path, model: nn.Module, optimizer: AdamW) -> VerifyReport:
    return proxytune.run_verify(describe(optimizer, model), folder)


def test_a_trainer_that_took_the_projection_passes(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    report = verified(folder, model, projection.optimizer(model))
    assert report.passed
    assert report.parameters == len(list(model.parameters()))


def test_a_scheduler_that_multiplies_the_groups_own_rates_passes(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    optimizer = projection.optimizer(model)
    LambdaLR(optimizer, lambda step: (step + 1) / 100)
    assert optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["initial_lr"] / 100
    assert verified(folder, model, optimizer).passed


def test_names_that_wrappers_change_are_known(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    wrapped = nn.ModuleDict({"_orig_mod": nn.ModuleDict({"module": model})})
    assert verified(folder, wrapped, projection.optimizer(wrapped)).passed


def without_kv_rule(groups: Groups) -> None:
    for group in groups:
        if group["role"] in ("key", "value"):
            group["lr"] /= 1.5
            group["weight_decay"] *= 1.5


def unscaled_eps(groups: Groups) -> None:
    for group in groups:
        group["eps"] = TUNED.eps


def unscaled_decay(groups: Groups) -> None:
    for group in groups:
        if group["role"] in ("query", "hidden", "attention_out", "mlp_out"):
            group["weight_decay"] = TUNED.weight_decay


@pytest.mark.parametrize(
    ("spoil", "settings", "roles", "told"),
    [
        (without_kv_rule, {"lr", "weight_decay"}, {"key", "value"}, "the K/V rule is missing"),
        (unscaled_eps, {"eps"}, None, "eps is not scaled"),
        (
            unscaled_decay,
            {"weight_decay"},
            {"query", "hidden", "attention_out", "mlp_out"},
            "not multiplied by the width",
        ),
    ],
)
def test_a_missing_rule_is_found_and_named(
    spoil: Callable[[Groups], None],
    settings: set[str],
    roles: set[str] | None,
    told: str,
    folder: Path,
    model: nn.Module,
    projection: Projection,
) -> None:
    groups = projection.param_groups(model)
    spoil(groups)
    report = verified(folder, model, AdamW(groups))
    assert {f.setting for f in report.findings} == settings
    assert {f.role for f in report.findings} == (roles or {g["role"] for g in groups})
    assert all(told in f.says for f in report.findings)


def test_a_finding_tells_matrix_and_factor(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    groups = projection.param_groups(model)
    without_kv_rule(groups)
    report = verified(folder, model, AdamW(groups))
    says = {(f.role, f.setting): f.says for f in report.findings}
    assert "k_proj" in says["key", "lr"]
    assert "lr 1.5 times too low" in says["key", "lr"]
    assert "weight decay 1.5 times too high" in says["value", "weight_decay"]


def test_an_init_scaled_with_depth_is_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    with torch.no_grad():
        for name, param in model.named_parameters():
            if "o_proj" in name:
                param.mul_(1 / math.sqrt(2 * TARGET.n_layers))
    report = verified(folder, model, projection.optimizer(model))
    assert [(f.role, f.setting) for f in report.findings] == [("attention_out", "std")]
    assert "1/√(2·n_layers)" in report.findings[0].says
    assert len(report.findings[0].parameters) == TARGET.n_layers


def test_gains_that_are_not_constant_are_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    with torch.no_grad():
        dict(model.named_parameters())["model.norm.weight"].normal_()
    report = verified(folder, model, projection.optimizer(model))
    assert [(f.role, f.setting) for f in report.findings] == [("final_norm", "std")]


def overwrite(optimizer: AdamW) -> None:
    """As a loop that sets one rate each step."""
    for group in optimizer.param_groups:
        group["lr"] = 3e-4


def one_cycle(optimizer: AdamW) -> None:
    """A scheduler of torch that takes one peak for all."""
    OneCycleLR(optimizer, max_lr=0.01, total_steps=100)


@pytest.mark.parametrize("schedule", [overwrite, one_cycle])
def test_rates_that_a_scheduler_overwrote_are_found_once(
    schedule: Callable[[AdamW], None], folder: Path, model: nn.Module, projection: Projection
) -> None:
    optimizer = projection.optimizer(model)
    schedule(optimizer)
    report = verified(folder, model, optimizer)
    (finding,) = [f for f in report.findings if f.setting == "lr"]
    assert (finding.role, "overwritten" in finding.says) == ("", True)


def test_another_peak_is_found_once(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    optimizer = projection.optimizer(model)
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
    (finding,) = verified(folder, model, optimizer).findings
    assert (finding.role, finding.setting) == ("", "lr")
    assert "0.5 times what was projected" in finding.says


def test_one_group_s_overwritten_rate_is_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    optimizer = projection.optimizer(model)
    LambdaLR(optimizer, lambda step: 0.1)
    optimizer.param_groups[-1]["lr"] = 1.0
    report = verified(folder, model, optimizer)
    assert "lr" in {f.setting for f in report.findings if f.role == "final_norm"}


def test_a_parameter_that_no_optimizer_has_is_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    groups = [g for g in projection.param_groups(model) if g["role"] != "norm"]
    report = verified(folder, model, AdamW(groups))
    assert [(f.role, f.setting) for f in report.findings] == [("norm", "name")]


def test_parameters_and_roles_without_each_other_are_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    taken = describe(projection.optimizer(model), model)
    renamed = [t | {"name": t["name"].replace("q_proj", "wq")} for t in taken]
    report = proxytune.run_verify(renamed, folder)
    assert {(f.role, f.setting) for f in report.findings} == {("", "name"), ("query", "name")}
    told = [t | ({"role": "query"} if "wq" in t["name"] else {}) for t in renamed]
    assert proxytune.run_verify(told, folder).passed


def test_a_matrix_of_another_shape_is_found(
    folder: Path, model: nn.Module, projection: Projection
) -> None:
    taken = describe(projection.optimizer(model), model)
    for entry in taken:
        if "k_proj" in entry["name"]:
            entry["shape"] = [32, 32]
    report = proxytune.run_verify(taken, folder)
    assert [(f.role, f.setting) for f in report.findings] == [("key", "shape")]


def test_a_multiplier_that_was_not_folded_in_is_found(tmp_path: Path) -> None:
    export("pytorch", tmp_path / "plain")
    export("pytorch", tmp_path / "folded", folded=True)
    model = small("Llama")
    plain = proxytune.load_projection(tmp_path / "plain")
    plain.init_weights_(model)
    report = verified(tmp_path / "folded", model, plain.optimizer(model))
    of_head = [f.says for f in report.findings if f.role == "unembedding"]
    assert {f.setting for f in report.findings} == {"lr", "weight_decay", "eps", "std"}
    assert of_head
    assert any("is not folded in" in says for says in of_head)


@pytest.mark.parametrize(
    "document", ["[]", "{", '[{"name": "a"}]', '{"name": "a"}', '[{"name": 3}]']
)
def test_a_file_that_describes_nothing_is_refused(
    document: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "groups.json").write_text(document)
    with pytest.raises(proxytune.InputError, match=r"groups\.json"):
        proxytune.run_verify(tmp_path / "groups.json", folder)
