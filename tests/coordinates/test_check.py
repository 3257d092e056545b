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
from proxytune.config.coordinates import CoordinateSpec, coordinate_spec
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.measure import Build, measure, own_model, run_batches, runs
from proxytune.coordinates.report import CoordinateReport, Slope, Slopes
from proxytune.coordinates.sizes import Quantity
from proxytune.coordinates.theory import expected_slope
from proxytune.scaling import projection, rules
from proxytune.scaling.projection import Forward
from proxytune.scaling.rules import HIDDEN_ROLES, KV_RULES, KvRule, Powers, Role, RuleTable

SMALL: dict[str, Any] = {
    "name": "small",
    "proxy": {"d_model": 64, "n_layers": 1, "n_heads": 8, "n_kv_heads": 4, "seq_len": 32},
    "hyperparameters": {"learning_rate": 0.01},
    "parameterizations": ["gqa-mup"],
    "seeds": 2,
    "steps": 6,
}


TOKENS = np.frombuffer(Path(__file__).read_bytes(), np.uint8)


def checked(spec: CoordinateSpec, build: Build = own_model) -> CoordinateReport:
    """A check on the text of this very file."""
    batches = {run.seed: run_batches(spec, TOKENS, run.seed) for run in runs(spec)}
    measured = [m for run in runs(spec) for m in measure(spec, run, batches[run.seed], build)]
    return CoordinateReport.of(spec, measured)


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


def kv_update(of: Slopes) -> Slope:
    return of["gqa-mup"][Role.KV][Quantity.RELATIVE_UPDATE_SPECTRAL]


def test_the_kv_rule_passes_along_repeat() -> None:
    assert kv_update(found(axis="repeat")).ok


def test_kv_at_the_wrong_rate_is_caught(broken_kv: None) -> None:
    slope = kv_update(found(axis="repeat"))
    assert slope.expected == 0
    assert not slope.ok
    assert slope.slope is not None
    assert slope.slope < -0.5


def test_without_a_kv_rule_relative_updates_are_not_flat() -> None:
    by_label = found(axis="repeat", parameterizations=["gqa-mup:kv_rule=none"])
    slope = by_label["gqa-mup:kv_rule=none"][Role.KV][Quantity.RELATIVE_UPDATE_SPECTRAL]
    assert not slope.ok


HIDDEN = [(role, Quantity.RELATIVE_UPDATE_SPECTRAL) for role in sorted(HIDDEN_ROLES)]
HIDDEN += [(Role.HIDDEN, Quantity.ACTIVATION_CHANGE), (Role.QUERY, Quantity.ACTIVATION_CHANGE)]


def test_hidden_matrices_pass_along_width() -> None:
    of = found(axis="width", values=[1, 2, 4])["gqa-mup"]
    assert [key for key in HIDDEN if not of[key[0]][key[1]].ok] == []


def test_a_hidden_rate_without_its_width_is_caught(broken_hidden: None) -> None:
    report = checked(coordinate_spec(SMALL | {"axis": "width", "values": [1, 2, 4]}))
    of = report.slopes["gqa-mup"]
    missed = {key: of[key[0]][key[1]] for key in HIDDEN}
    assert all(slope.expected == pytest.approx(0) for slope in missed.values())
    assert all((slope.slope or 0) > 0.3 for slope in missed.values())
    assert not report.passed


def test_a_size_that_is_no_number_does_not_pass() -> None:
    wild = {"hyperparameters": {"learning_rate": 1e30}, "seeds": 1}
    report = checked(coordinate_spec(SMALL | {"axis": "width", "values": [1, 2]} | wild))
    assert not report.passed


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
    assert [key for key in HIDDEN if not of[key[0]][key[1]].ok] == []
    logits = of[Role.UNEMBEDDING][Quantity.ACTIVATION]
    assert (logits.expected, logits.ok) == (pytest.approx(-0.5), True)
    assert of["attention_logits"][Quantity.ACTIVATION].ok


WIDTHS = [Shape(d_model=64 * m, n_layers=2, n_heads=4, head_dim=16 * m) for m in (1, 2, 4)]
REPEATS = [Shape(d_model=64, n_layers=2, n_heads=8, n_kv_heads=8 // r) for r in (1, 2, 4, 8)]


@pytest.mark.parametrize(
    ("role", "quantity", "along_width", "along_repeat"),
    [
        ("hidden", Quantity.ACTIVATION, 0, 0),
        ("hidden", Quantity.ACTIVATION_CHANGE, 0, 0),
        ("unembedding", Quantity.ACTIVATION, -0.5, 0),
        ("attention_logits", Quantity.ACTIVATION, -0.5, 0),
        ("attention_logits", Quantity.ACTIVATION_CHANGE, 0, 0),
        ("kv", Quantity.RELATIVE_UPDATE_SPECTRAL, 0, 0),
        ("kv", Quantity.WEIGHT_EXPECTED, 0, 0),
        ("kv", Quantity.WEIGHT_SPECTRAL, 0, 0.3117),
        ("kv", Quantity.UPDATE_SPECTRAL, 0, 0.3117),
        ("embedding", Quantity.WEIGHT_EXPECTED, 0.5, 0),
        ("query", Quantity.RELATIVE_UPDATE_EXPECTED, 0, 0),
    ],
)
def test_what_the_theory_expects(
    role: str, quantity: Quantity, along_width: float, along_repeat: float
) -> None:
    """0.3117 is the log-log slope of (1 + √r)/2 over r = 1, 2, 4, 8."""
    for axis, shapes, slope in (("width", WIDTHS, along_width), ("repeat", REPEATS, along_repeat)):
        expected = expected_slope(role, quantity, axis, shapes, shapes[0], Parameterization())
        assert expected == pytest.approx(slope, abs=1e-3), axis


@pytest.mark.slow
@pytest.mark.timeout(400)
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
