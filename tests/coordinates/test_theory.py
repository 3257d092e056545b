"""What the theory expects of every size along width and repeat factor."""

import pytest

from proxytune.config.axis import AxisName
from proxytune.config.parameterization import Parameterization
from proxytune.config.shape import Shape
from proxytune.coordinates.sizes import Quantity
from proxytune.coordinates.theory import Expected, expected_slope

HEADS = [Shape(d_model=64 * m, n_layers=2, n_heads=4 * m) for m in (1, 2, 4)]
SIZES = [Shape(d_model=64 * m, n_layers=2, n_heads=4, head_dim=16 * m) for m in (1, 2, 4)]
REPEATS = [Shape(d_model=64, n_layers=2, n_heads=8, n_kv_heads=8 // r) for r in (1, 2, 4, 8)]
DEPTHS = [Shape(d_model=64, n_layers=n, n_heads=4) for n in (2, 4, 8)]
RULE = 0.3117
"""The log-log slope of (1 + √r)/2 over r = 1, 2, 4, 8."""


def expected(
    role: str, quantity: Quantity, axis: AxisName, shapes: list[Shape], label: str = "gqa-mup"
) -> Expected:
    rules = Parameterization.model_validate(label)
    return expected_slope(role, quantity, axis, shapes, shapes[0], rules)


@pytest.mark.parametrize(
    ("role", "quantity", "along_width", "along_repeat"),
    [
        ("hidden", Quantity.ACTIVATION, 0, 0),
        ("hidden", Quantity.ACTIVATION_CHANGE, 0, 0),
        ("hidden", Quantity.CHANGE_BY_INPUTS, 0, 0),
        ("unembedding", Quantity.ACTIVATION, -0.5, 0),
        ("attention_logits", Quantity.ACTIVATION, -0.5, 0),
        ("attention_logits", Quantity.ACTIVATION_CHANGE, 0, 0),
        ("attention_logits", Quantity.ENTROPY, 0, 0),
        ("kv", Quantity.RELATIVE_UPDATE_SPECTRAL, 0, 0),
        ("kv", Quantity.WEIGHT_EXPECTED, 0, 0),
        ("kv", Quantity.WEIGHT_SPECTRAL, 0, RULE),
        ("kv", Quantity.UPDATE_SPECTRAL, 0, RULE),
        ("embedding", Quantity.WEIGHT_EXPECTED, 0.5, 0),
        ("query", Quantity.RELATIVE_UPDATE_EXPECTED, 0, 0),
    ],
)
def test_what_the_theory_expects(
    role: str, quantity: Quantity, along_width: float, along_repeat: float
) -> None:
    assert expected(role, quantity, "width", SIZES).slope == pytest.approx(along_width, abs=1e-3)
    of_repeat = expected(role, quantity, "repeat", REPEATS).slope
    assert of_repeat == pytest.approx(along_repeat, abs=1e-3)


@pytest.mark.parametrize("role", ["kv", "hidden", "embedding", "final_norm", "unembedding"])
def test_eps_follows_the_gradient_on_every_axis(role: str) -> None:
    axes: list[tuple[AxisName, list[Shape]]]
    axes = [("width", HEADS), ("depth", DEPTHS), ("repeat", REPEATS)]
    for axis, shapes in axes:
        assert expected(role, Quantity.EPS_OVER_GRADIENT, axis, shapes) == Expected(0, 0, 0), axis


def test_gradients_of_q_and_k_are_unrelated_at_init_and_aligned_later() -> None:
    """So eps may grow against them by up to the root of the head size; no other role's does."""
    found = expected("query", Quantity.EPS_OVER_GRADIENT, "width", SIZES)
    assert (found.slope, found.low, found.high) == pytest.approx((0.5, 0, 0.5))
    assert expected("value", Quantity.EPS_OVER_GRADIENT, "width", SIZES).high == 0


def test_a_gain_that_heads_share_is_pulled_apart_at_init() -> None:
    for shapes in (HEADS, SIZES):
        found = expected("qk_norm", Quantity.EPS_OVER_GRADIENT, "width", shapes)
        assert (found.low, found.high) == pytest.approx((0, 0.5))
    for shapes, high in ((HEADS, 0.5), (SIZES, 0)):
        found = expected("qk_norm", Quantity.UPDATE_EXPECTED, "width", shapes)
        assert (found.low, found.high) == pytest.approx((0, high))


@pytest.mark.parametrize(
    ("role", "quantity", "low", "high"),
    [
        ("key", Quantity.ACTIVATION_CHANGE, 0, RULE),
        ("key", Quantity.CHANGE_BY_WEIGHTS, 0, RULE),
        ("key", Quantity.CHANGE_BY_INPUTS, 0, 0),
        ("value", Quantity.UPDATE_EXPECTED, 0, RULE),
        ("attention_out", Quantity.CHANGE_BY_WEIGHTS, 0, 0.5),
    ],
)
def test_sums_of_unlike_parts_lie_between_them(
    role: str, quantity: Quantity, low: float, high: float
) -> None:
    found = expected(role, quantity, "repeat", REPEATS)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_without_a_kv_rule_nothing_of_k_and_v_grows_with_repeats() -> None:
    for quantity in (Quantity.ACTIVATION_CHANGE, Quantity.UPDATE_EXPECTED):
        found = expected("kv", quantity, "repeat", REPEATS, "gqa-mup:kv_rule=none")
        assert found.high == pytest.approx(0), quantity
