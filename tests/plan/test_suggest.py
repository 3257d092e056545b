"""Laws of the suggested proxy, and of the proxies there are to choose from."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxytune.config.load import load_target
from proxytune.config.shape import Shape
from proxytune.config.study import StudySpec
from proxytune.errors import InputError
from proxytune.packs.calibration import Calibration, Speed
from proxytune.plan.estimate import Estimate, estimate, member_memory
from proxytune.plan.proxies import SMALLEST_HEAD, proxies
from proxytune.plan.suggest import Option, Rule, obstacles, reason, suggest
from tests.studies import study_spec

STUDIES = Path(__file__).parents[2] / "studies"
LLAMA = load_target(STUDIES / "targets" / "llama3-8b.yaml").shape
TARGETS = {
    "llama3-8b": LLAMA,
    "small": load_target(STUDIES / "targets" / "small.yaml").shape,
    "gelu, tied, normed": LLAMA.at(mlp="gelu", tied=True, qk_norm=True),
    "wide heads": LLAMA.at(head_dim=256, n_kv_heads=4),
    "odd repeat": Shape(d_model=1536, n_layers=28, n_heads=12, n_kv_heads=2, d_ff=8960),
    "one layer": Shape(d_model=64, n_layers=1, n_heads=4, n_kv_heads=2),
}


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
        assert shape.repeat == math.gcd(shape.n_heads, target.repeat)
        # Heads get smaller before the repeat factor does.
        assert shape.repeat == target.repeat or shape.head_dim == SMALLEST_HEAD
        assert shape.vocab_size == 256


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
