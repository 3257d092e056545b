"""What every parameterization has to obey."""

import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import product

import pytest

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.scaling.projection import Projection, multipliers, project, roles_of
from proxytune.scaling.rules import Powers, Role

NAMES = ["sp", "mup", "completep", "gqa-mup"]
OPTIONS = [
    Parameterization.model_validate({"name": name} | options)
    for name, options in product(
        NAMES,
        [
            {},
            {"kv_rule": "spectral"},
            {"kv_rule": "none"},
            {"wd_width_exponent": 0.5, "embedding_lr_width_exponent": -0.5, "depth_alpha": 0.5},
        ],
    )
]
BASE = Shape(d_model=32, n_layers=2, n_heads=4)
SMALL = Shape(d_model=64, n_layers=3, n_heads=6, n_kv_heads=2, head_dim=8, d_ff=100)
LARGE = Shape(d_model=256, n_layers=24, n_heads=14, n_kv_heads=2, head_dim=64, d_ff=1000)
HYPERPARAMETERS = BaseHyperparameters(learning_rate=0.02, weight_decay=0.3, kv_lr_multiplier=1.5)


def numbers(projection: Projection) -> dict[str, float]:
    """All numbers of a projection by name; gains have no init std."""
    roles = {
        f"{role}.{name}": value
        for role, settings in projection.roles.items()
        for name, value in asdict(settings).items()
        if value is not None
    }
    return roles | {f"forward.{name}": v for name, v in asdict(projection.forward).items()}


@pytest.mark.parametrize("parameterization", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [BASE, SMALL, LARGE], ids=["base", "small", "large"])
def test_identity(shape: Shape, parameterization: Parameterization) -> None:
    assert set(numbers(multipliers(shape, shape, parameterization)).values()) == {1.0}


@pytest.mark.parametrize("parameterization", OPTIONS, ids=str)
def test_composition(parameterization: Parameterization) -> None:
    direct = numbers(multipliers(BASE, LARGE, parameterization))
    first = numbers(multipliers(BASE, SMALL, parameterization))
    second = numbers(multipliers(SMALL, LARGE, parameterization))
    for name, value in direct.items():
        assert first[name] * second[name] == pytest.approx(value), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kv_rule", ["paper", "spectral", "none"])
def test_lr_times_decay_is_the_same_at_every_shape(name: str, kv_rule: str) -> None:
    parameterization = Parameterization.model_validate({"name": name, "kv_rule": kv_rule})
    small, large = (
        project(HYPERPARAMETERS, BASE, shape, parameterization) for shape in (SMALL, LARGE)
    )
    for role in roles_of(LARGE):
        products = [p.roles[role].lr * p.roles[role].weight_decay for p in (small, large)]
        assert products[0] == pytest.approx(products[1]), role


def test_the_repeat_factor_is_absolute() -> None:
    """A base that repeats its heads stands for no other base hyperparameters than one without."""
    grouped = BASE.at(n_kv_heads=1)
    for parameterization in OPTIONS:
        assert project(HYPERPARAMETERS, grouped, LARGE, parameterization) == project(
            HYPERPARAMETERS, BASE, LARGE, parameterization
        )


def s(repeat: int) -> float:
    return (1 + math.sqrt(repeat)) / 2


def test_the_table_of_gqa_mup_written_out() -> None:
    """Every cell, by hand, for a target whose matrices have different fan-in ratios."""
    hp = HYPERPARAMETERS
    got = project(hp, BASE, LARGE, Parameterization())
    m_d, m_l = 256 / 32, 24 / 2
    for role, m_in in {
        Role.QUERY: 256 / 32,
        Role.HIDDEN: 256 / 32,
        Role.ATTENTION_OUT: 14 * 64 / 32,
        Role.MLP_OUT: 1000 / 96,
    }.items():
        settings = got.roles[role]
        assert settings.init_std == pytest.approx(hp.init_std / math.sqrt(m_in))
        assert settings.lr == pytest.approx(hp.learning_rate / m_in)
        assert settings.weight_decay == pytest.approx(hp.weight_decay * m_in)
        assert settings.eps == pytest.approx(hp.eps / (m_d * m_l))
    kv = got.roles[Role.KV]
    assert kv.init_std == pytest.approx(hp.init_std / math.sqrt(m_d))
    assert kv.lr == pytest.approx(1.5 * hp.learning_rate * s(7) / m_d)
    assert kv.weight_decay == pytest.approx(hp.weight_decay * m_d / s(7))
    assert kv.eps == pytest.approx(hp.eps / (m_d * m_l))
    embedding = got.roles[Role.EMBEDDING]
    assert (embedding.init_std, embedding.lr) == (hp.embedding_init_std, hp.learning_rate)
    assert (embedding.weight_decay, embedding.eps) == (0.0, pytest.approx(hp.eps / m_d))
    unembedding = got.roles[Role.UNEMBEDDING]
    assert (unembedding.init_std, unembedding.lr) == (hp.unembedding_init_std, hp.learning_rate)
    assert (unembedding.weight_decay, unembedding.eps) == (hp.weight_decay, hp.eps)
    assert unembedding.multiplier == got.forward.logits == pytest.approx(1 / m_d)
    assert got.roles[Role.NORM].lr == hp.learning_rate
    assert got.roles[Role.NORM].weight_decay == got.roles[Role.FINAL_NORM].weight_decay == 0.0
    assert got.roles[Role.NORM].eps == pytest.approx(hp.eps / (m_d * m_l))
    assert got.roles[Role.FINAL_NORM].eps == hp.eps
    assert got.forward.embedding == 1.0
    assert got.forward.attention == pytest.approx(math.sqrt(8) / 64)
    assert got.forward.residual == pytest.approx(1 / m_l)


Rule = Callable[[int], float]
KV_RULES: dict[str, tuple[Rule, Rule]] = {
    "paper": (lambda r: 1.0, s),
    "spectral": (lambda r: 2 / (1 + math.sqrt(r)), lambda r: 1 / math.sqrt(r)),
    "none": (lambda r: 1.0, lambda r: 1.0),
}


@pytest.mark.parametrize("repeat", [1, 2, 3, 4, 7, 8, 16])
@pytest.mark.parametrize("kv_rule", KV_RULES)
def test_kv_rules_move_only_keys_and_values(kv_rule: str, repeat: int) -> None:
    init, lr = KV_RULES[kv_rule]
    base = Shape(d_model=128, n_layers=1, n_heads=repeat, head_dim=16)
    rule = Parameterization.model_validate({"kv_rule": kv_rule})
    by = numbers(multipliers(base, base.at(n_kv_heads=1), rule))
    assert by.pop("kv.init_std") == pytest.approx(init(repeat))
    assert by.pop("kv.lr") == pytest.approx(lr(repeat))
    assert by.pop("kv.weight_decay") == pytest.approx(1 / lr(repeat))
    assert set(by.values()) == {1.0}


def test_narrower_parameterizations_leave_columns_out() -> None:
    deep = BASE.at(n_layers=8)
    grouped = BASE.at(n_kv_heads=1)
    wide = BASE.at(d_model=128, n_heads=16, d_ff=384)
    changes = {
        name: tuple(
            set(numbers(multipliers(BASE, shape, Parameterization(name=name))).values()) != {1.0}
            for shape in (wide, deep, grouped)
        )
        for name in ("mup", "completep", "gqa-mup")
    }
    assert changes == {
        "mup": (True, False, False),
        "completep": (True, True, False),
        "gqa-mup": (True, True, True),
    }


def test_sp_scales_hidden_init_and_attention_alone() -> None:
    by = numbers(multipliers(BASE, LARGE, Parameterization(name="sp")))
    moved = {name for name, value in by.items() if value != 1.0}
    matrices = ("query", "hidden", "attention_out", "mlp_out", "kv")
    assert moved == {f"{role}.init_std" for role in matrices} | {"forward.attention"}
    assert by["forward.attention"] == pytest.approx(math.sqrt(8 / 64))


def test_formulas_read_like_the_table() -> None:
    assert Powers(m_in=-1, s=1).formula("η") == "η·s(r)/m_in"
    assert Powers(m_in=-0.5).formula("σ") == "σ/√m_in"
    assert Powers(m_d=-1, m_L=-1).formula("ε") == "ε/(m_d·m_L)"
    assert Powers().formula("λ") == "λ"
