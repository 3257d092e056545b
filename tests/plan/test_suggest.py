"""Laws of the suggested proxy, and of the proxies there are to choose from."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.calibration import Calibration, Speed
from proxytune.plan.estimate import Estimate, estimate, member_memory
from proxytune.plan.proxies import SMALLEST_HEAD, proxies
from proxytune.plan.suggest import Option, Rule, obstacles, reason, suggest
from proxytune.plan.tables import TargetTokens
from proxytune.targets.load import load_target
from tests.studies import study_spec

STUDIES = Path(__file__).parents[2] / "studies"
LLAMA = load_target(STUDIES / "targets" / "llama3-8b.yaml").shape
TARGETS = {
    "llama3-8b": LLAMA,
    "small": load_target(STUDIES / "targets" / "small.yaml").shape,
    "gelu, tied, normed": LLAMA.at(mlp="gelu", tied=True, qk_norm=True),
    "wide heads": LLAMA.at(head_dim=256, n_kv_heads=4),
    "odd repeat": Shape(d_model=1536, n_layers=28, n_heads=12, n_kv_heads=2, d_ff=8960),
    "multi-head": Shape(d_model=2048, n_layers=16, n_heads=16, d_ff=8192),
    "one layer": Shape(d_model=64, n_layers=1, n_heads=4, n_kv_heads=2),
}
ODD = {
    "falcon-7b": Shape(d_model=4544, n_layers=32, n_heads=71, n_kv_heads=1, mlp="gelu"),
    "qwen2.5-7b": Shape(d_model=3584, n_layers=28, n_heads=28, n_kv_heads=4, d_ff=18944),
    "phi-4": Shape(d_model=5120, n_layers=40, n_heads=40, n_kv_heads=10, d_ff=17920),
    "25 heads": Shape(d_model=1600, n_layers=48, n_heads=25, mlp="gelu"),
    "heads of 202": Shape(d_model=2020, n_layers=8, n_heads=10, n_kv_heads=2),
    "prime width": Shape(d_model=4099, n_layers=8, n_heads=32, head_dim=128, n_kv_heads=8),
}
"""Targets of which halves have no whole groups of heads."""


def on(proxy: Shape) -> StudySpec:
    return study_spec().model_copy(update={"proxy": proxy})


def options(
    shares: Sequence[float | None], hours: Sequence[float], fits: Sequence[bool]
) -> list[Option]:
    """Proxies in ascending size, with these costs."""
    shapes = proxies(LLAMA, 4, 128)[: len(shares)]
    return [
        Option(
            study=on(shape),
            share=share,
            estimate=Estimate(1, 1, hours=time, fits=fit, measured=True),
        )
        for shape, share, time, fit in zip(shapes, shares, hours, fits, strict=True)
    ]


@pytest.mark.parametrize("name", TARGETS)
def test_proxies_are_smaller_and_otherwise_like_the_target(name: str) -> None:
    target = TARGETS[name]
    found = proxies(target, 4, 128)
    sizes = [shape.count_parameters() for shape in found]
    assert sizes == sorted(set(sizes)) != []
    for shape in found:
        assert shape.d_model < target.d_model
        assert shape.n_layers <= min(4, target.n_layers)
        assert (shape.mlp, shape.qk_norm, shape.tied) == (
            target.mlp,
            target.qk_norm,
            target.tied,
        )
        assert shape.q_dim * target.d_model == target.q_dim * shape.d_model
        # One or two heads are no multi-head attention.
        smallest = min(SMALLEST_HEAD, target.head_dim)
        assert shape.n_heads >= 4 or shape.head_dim == smallest
        divisors = [r for r in range(1, shape.n_heads + 1) if shape.n_heads % r == 0]
        assert shape.repeat == max(r for r in divisors if r <= target.repeat)
        # Heads get smaller before the repeat factor does.
        assert shape.repeat == target.repeat or shape.head_dim == SMALLEST_HEAD
        assert abs(shape.d_ff / shape.d_model / (target.d_ff / target.d_model) - 1) < 0.05
        assert shape.vocab_size == 256


@pytest.mark.parametrize("name", ODD)
def test_a_target_whose_heads_do_not_halve_has_proxies_all_the_same(name: str) -> None:
    target = ODD[name]
    found = proxies(target, 4, 128)
    widths = [shape.d_model for shape in found]
    assert widths == sorted(set(widths))
    assert len(found) == 5
    assert all(width < target.d_model for width in widths)
    for shape in found[1:]:
        assert shape.n_heads >= 4
        assert shape.q_dim / shape.d_model == pytest.approx(target.q_dim / target.d_model, rel=0.1)
        # The target's, or as near to it as the heads allow: one K/V head stays one.
        assert shape.repeat in (target.repeat, shape.n_heads)


def test_proxies_have_the_vocabulary_of_the_data() -> None:
    assert {shape.vocab_size for shape in proxies(LLAMA, 4, 128, 32000)} == {32000}


@pytest.mark.parametrize("tied", [True, False])
def test_what_the_target_s_tables_cost_a_proxy_is_told(tied: bool) -> None:
    target = LLAMA.at(tied=tied)
    proxy = proxies(target, 4, 128)[1]
    found = TargetTokens.of(proxy, target)
    own = proxy.at(vocab_size=128256, seq_len=8192)
    bare = own.at(vocab_size=1)
    assert found.parameters == own.count_parameters()
    assert found.table_parameters == pytest.approx(
        own.count_parameters() - bare.count_parameters(), rel=1e-4
    )
    assert found.flops_factor * proxy.training_flops_per_token() == pytest.approx(
        own.training_flops_per_token()
    )
    for fact in ("vocab_size 128256", "seq_len 8192", f"{found.flops_factor:.3g} times"):
        assert fact in found.advice


def test_a_proxy_on_the_target_s_tokens_is_not_advised_to_take_them() -> None:
    proxy = proxies(LLAMA, 4, LLAMA.seq_len, LLAMA.vocab_size)[0]
    found = TargetTokens.of(proxy, LLAMA)
    assert found.flops_factor == 1
    assert "vocabulary and length are the target's" in found.advice
    assert "set " not in found.advice


def test_a_target_that_is_smaller_than_any_proxy_is_refused() -> None:
    with pytest.raises(InputError, match="d_model = 32: no proxy is smaller"):
        proxies(Shape(d_model=32, n_layers=2, n_heads=2), 4, 128)


def test_the_largest_is_suggested_that_the_rule_allows_else_the_smallest() -> None:
    rule = Rule(share=0.05, hours=24)
    for shares, hours, fits in itertools.product(
        itertools.product([0.01, 0.1, None], repeat=2),
        itertools.product([1.0, 100.0], repeat=2),
        itertools.product([True, False], repeat=2),
    ):
        given = options(shares, hours, fits)
        allowed = [i for i, option in enumerate(given) if not obstacles(option, rule)]
        assert suggest(given, rule) == max(allowed, default=0)
        assert f"d_model {given[suggest(given, rule)].width} is the " in reason(given, rule)


def test_a_laxer_rule_never_suggests_a_smaller_proxy() -> None:
    given = options([0.001, 0.01, 0.1], [1.0, 10.0, 100.0], [True] * 3)
    for tight, lax in itertools.pairwise([1e-4, 0.005, 0.05, 0.5]):
        for hours, more in itertools.pairwise([0.1, 5, 50, 500]):
            assert suggest(given, Rule(tight, hours)) <= suggest(given, Rule(lax, more))


def test_a_small_proxy_is_said_to_be_small() -> None:
    told = reason(options([0.01], [1.0], [True]), Rule(0.05, 24))
    assert "width 64 (less than 256)" in told
    assert "arXiv 2203.03466" in told


def test_the_time_of_another_shape_goes_with_its_flops() -> None:
    small, large = (on(shape) for shape in proxies(LLAMA, 4, 128)[:2])
    speeds = tuple(Speed(members=n, seconds=0.01 * n, memory=n) for n in (1, 2, 4))
    measured = Calibration(device="a device", memory=10**12, speeds=speeds)
    own, other = (estimate(study, small, measured, slots=1) for study in (small, large))
    ratio = (
        large.proxy.training_flops_per_token()
        * large.proxy.seq_len
        / (small.proxy.training_flops_per_token() * small.proxy.seq_len)
    )
    assert (own.measured, other.measured) == (True, False)
    assert other.hours == pytest.approx(ratio * own.hours)
    assert other.pack_size <= own.pack_size


def test_what_does_not_fit_is_said_not_to() -> None:
    small, large = (on(shape) for shape in proxies(LLAMA, 4, 128)[:2])
    memory = member_memory(large.proxy, large.training.batch_size) - 1
    speeds = (Speed(members=1, seconds=0.01, memory=1),)
    measured = Calibration(device="a device", memory=memory, speeds=speeds)
    assert not estimate(large, small, measured, slots=1).fits
