"""The check passes the rules and catches rules that are broken on purpose."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from proxytune.cli.main import main
from proxytune.config.coordinates import SETTINGS, CoordinateSpec, coordinate_spec
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.measure import (
    Build,
    Measurement,
    measure,
    own_model,
    run_batches,
    runs,
)
from proxytune.coordinates.picture import draw, ticks
from proxytune.coordinates.report import TOLERANCE, CoordinateReport, Slope, Slopes
from proxytune.coordinates.sizes import Quantity
from proxytune.data.stream import TokenStream
from proxytune.scaling import projection, rules
from proxytune.scaling.projection import Forward
from proxytune.scaling.rules import HIDDEN_ROLES, KV_RULES, KvRule, Powers, Role, RuleTable

SMALL: dict[str, Any] = {
    "name": "small",
    "proxy": {"d_model": 64, "n_layers": 1, "n_heads": 8, "n_kv_heads": 4, "seq_len": 32},
    "training": {"batch_size": 4},
    "hyperparameters": {"learning_rate": 0.01},
    "parameterizations": ["gqa-mup"],
    "seeds": 3,
    "steps": 6,
}


TEXT = (Path(__file__).parents[2] / "LICENSE").read_bytes()
TOKENS = TokenStream.of(np.frombuffer(TEXT, np.uint8))


def measurements(spec: CoordinateSpec, build: Build = own_model) -> list[Measurement]:
    """Sizes on the text of the license."""
    batches = {run.seed: run_batches(spec, TOKENS, run.seed) for run in runs(spec)}
    return [m for run in runs(spec) for m in measure(spec, run, batches[run.seed], build)]


def checked(spec: CoordinateSpec, build: Build = own_model) -> CoordinateReport:
    """A check on that text."""
    return CoordinateReport.of(spec, measurements(spec, build))


def found(**changes: object) -> Slopes:
    return checked(coordinate_spec(SMALL | changes)).slopes


@pytest.fixture
def broken_kv() -> Iterator[None]:
    """K and V trained at 1/√r, against the rule's (1 + √r)/2."""
    kept = KV_RULES["paper"]
    KV_RULES["paper"] = KvRule(lr_r=-0.5)
    yield
    KV_RULES["paper"] = kept


@pytest.fixture
def broken_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hidden learning rate without its 1/m."""

    def without(parameterization: Parameterization) -> RuleTable:
        table = rules.rule_table(parameterization)
        broken = {
            role: replace(rule, lr=Powers()) if role in HIDDEN_ROLES else rule
            for role, rule in table.roles.items()
        }
        return replace(table, roles=broken)

    monkeypatch.setattr(projection, "rule_table", without)


def is_near(slope: Slope) -> bool:
    """Whether it is as expected, as far as a few seeds can tell."""
    return slope.slope is not None and abs(slope.slope - slope.expected) <= TOLERANCE


def kv_update(of: Slopes) -> Slope:
    return of["gqa-mup"][Role.KV][Quantity.RELATIVE_UPDATE_SPECTRAL]


def test_the_kv_rule_passes_along_repeat() -> None:
    report = checked(coordinate_spec(SMALL | {"axis": "repeat"}))
    assert is_near(kv_update(report.slopes))
    of = report.slopes["gqa-mup"]
    assert all(is_near(of[role][Quantity.EPS_OVER_GRADIENT]) for role in (Role.KEY, Role.VALUE))
    assert report.control is not None
    assert report.control.caught


@pytest.mark.parametrize("axis", ["width", "depth", "repeat"])
def test_a_control_with_a_wrong_kv_rate_fails_on_every_axis(axis: str) -> None:
    control = checked(coordinate_spec(SMALL | {"axis": axis, "values": [1, 2]})).control
    assert control is not None
    assert control.slope.verdict == "different"
    assert (control.slope.low or 0) > 0.15


def test_kv_at_the_wrong_rate_is_caught(broken_kv: None) -> None:
    slope = kv_update(found(axis="repeat"))
    assert slope.expected == 0
    assert slope.verdict == "different"
    assert slope.slope is not None
    assert slope.slope < -0.5


def test_without_a_kv_rule_relative_updates_are_not_flat() -> None:
    by_label = found(axis="repeat", parameterizations=["gqa-mup:kv_rule=none"])
    slope = by_label["gqa-mup:kv_rule=none"][Role.KV][Quantity.RELATIVE_UPDATE_SPECTRAL]
    assert not is_near(slope)
    assert slope.verdict != "same"


HIDDEN = [(role, Quantity.RELATIVE_UPDATE_SPECTRAL) for role in sorted(HIDDEN_ROLES)]
HIDDEN += [(Role.HIDDEN, Quantity.ACTIVATION_CHANGE), (Role.QUERY, Quantity.ACTIVATION_CHANGE)]


def test_hidden_matrices_pass_along_width() -> None:
    of = found(axis="width", values=[1, 4], seeds=4, training={"batch_size": 8})["gqa-mup"]
    assert [key for key in HIDDEN if not is_near(of[key[0]][key[1]])] == []


def test_a_hidden_rate_without_its_width_is_caught(broken_hidden: None) -> None:
    report = checked(coordinate_spec(SMALL | {"axis": "width", "values": [1, 4]}))
    of = report.slopes["gqa-mup"]
    missed = {key: of[key[0]][key[1]] for key in HIDDEN}
    assert all(slope.expected == pytest.approx(0) for slope in missed.values())
    assert all((slope.slope or 0) > 0.3 for slope in missed.values())
    assert not report.passed


@pytest.mark.parametrize(
    ("hyperparameters", "role", "quantity", "fault"),
    [
        ({"learning_rate": 1e30}, Role.HIDDEN, Quantity.ACTIVATION_CHANGE, "not finite"),
        ({"norm_lr_multiplier": 1e-9}, Role.NORM, Quantity.UPDATE_EXPECTED, "zero"),
    ],
)
def test_a_size_without_a_logarithm_is_told_and_does_not_pass(
    hyperparameters: dict[str, float], role: Role, quantity: Quantity, fault: str, tmp_path: Path
) -> None:
    short = {"axis": "width", "values": [1, 2], "seeds": 2, "hyperparameters": hyperparameters}
    spec = coordinate_spec(SMALL | short)
    report = checked(spec)
    slope = report.slopes["gqa-mup"][role][quantity]
    assert (slope.slope, slope.ok, slope.fault) == (None, False, fault)
    assert not report.passed
    draw(tmp_path / "picture.png", report, measurements(spec))


@pytest.mark.parametrize(
    ("low", "high"), [(0.97, 1.02), (0.8, 1.3), (0.6, 3.0), (0.01, 50.0), (1e-9, 1e3)]
)
def test_the_picture_has_at_least_three_round_sizes_on_an_axis(low: float, high: float) -> None:
    found = ticks(low, high)
    assert len(found) >= 3
    assert all(low <= tick <= high for tick in found)
    assert all(float(f"{tick:.3g}") == pytest.approx(tick) for tick in found)


def test_any_model_can_be_checked() -> None:
    """A Hugging Face Granite, its multipliers in its config."""
    from transformers import GraniteConfig, GraniteForCausalLM

    from tests.models.huggingface import config_of

    def build(shape: Shape, forward: Forward) -> torch.nn.Module:
        by = {
            "embedding_multiplier": forward.embedding,
            "attention_multiplier": forward.attention,
            "residual_multiplier": forward.residual,
            "logits_scaling": 1 / forward.logits,
        }
        return GraniteForCausalLM(GraniteConfig(**config_of(shape, **by)))

    spec = coordinate_spec(SMALL | {"axis": "width", "values": [1, 4]})
    of = checked(spec, build).slopes["gqa-mup"]
    assert [key for key in HIDDEN if not is_near(of[key[0]][key[1]])] == []
    logits = of[Role.UNEMBEDDING][Quantity.ACTIVATION]
    assert (logits.expected, logits.ok) == (pytest.approx(-0.5), True)
    assert is_near(of["attention_logits"][Quantity.ACTIVATION])


VARIANTS: dict[str, dict[str, Any]] = {
    "larger heads": {"width_grows": "head_dim"},
    "tied": {"proxy": {"tied": True}},
    "QK-norm": {"proxy": {"qk_norm": True}},
    "GELU": {"proxy": {"mlp": "gelu"}},
    "narrow MLP": {"proxy": {"d_ff": 64}},
}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("changed", VARIANTS.values(), ids=VARIANTS)
def test_the_rules_hold_for_every_kind_of_decoder(changed: dict[str, Any]) -> None:
    """With few seeds some slopes stay undecided; none is beyond what is expected.

    Logits that start large move the final norm, less so in a wider model; so they start small.
    """
    start = SETTINGS | {"unembedding_init_std": 0.03}
    small = {"training": {"batch_size": 8}, "hyperparameters": start}
    proxy = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2}
    few = {"axis": "width", "values": [1, 4], "seeds": 6, "parameterizations": ["gqa-mup"]}
    spec = coordinate_spec(small | few | changed | {"proxy": proxy | changed.get("proxy", {})})
    report = checked(spec)
    different = [
        (role, str(quantity), slope.slope)
        for role, quantities in report.slopes["gqa-mup"].items()
        for quantity, slope in quantities.items()
        if slope.verdict == "different"
    ]
    assert different == []
    assert report.control is not None
    assert report.control.caught


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_command_tells_the_rules_from_none(tmp_path: Any) -> None:
    """On the default proxy and corpus every slope of gqa-mup holds; sp's hidden changes do not."""
    command = "coord-check --axis width --values 1,2,4 --parameterization gqa-mup,sp --json --home"
    done = CliRunner().invoke(main, [*command.split(), str(tmp_path)])
    document = json.loads(done.stdout)
    wrong = {
        (role, quantity, slope["slope"])
        for role, quantities in document["slopes"]["gqa-mup"].items()
        for quantity, slope in quantities.items()
        if not slope["ok"]
    }
    assert wrong == set()
    assert done.exit_code == 0
    assert document["verdict"] == {"gqa-mup": "pass", "sp": "fail"}
    of_sp = document["slopes"]["sp"]
    for role in ("hidden", "query", "kv"):
        change = of_sp[role]["activation_change"]
        assert abs(change["slope"] - change["expected"]) > 0.3, role
    assert (tmp_path / "coordinates/default-width/coordinates.png").exists()
    assert (tmp_path / "parquet/coordinates/check=default-width/part-00000.parquet").exists()
