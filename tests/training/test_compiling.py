"""A compiled pack is the same pack, but for rounding; without a compiler, it is not compiled."""

from pathlib import Path

import pytest

from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.packs.calibration import Compiling
from proxytune.packs.pack import PackSpec
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.training import calibration
from proxytune.training.calibration import calibrate_compiling
from proxytune.training.compiling import can_compile
from proxytune.training.pack import start_pack
from tests.training.packs import train, validation_losses

CLOSE = 1e-4
"""Relative. Another order of sums, over a dozen steps."""
needs_compiler = pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler")


@pytest.fixture
def shallow(shape: Shape) -> Shape:
    """As little as there is to compile."""
    return shape.at(n_layers=1)


@pytest.fixture
def spec(shallow: Shape, tokens: Path, tmp_path: Path) -> PackSpec:
    settings = [hyperparameters(rate) for rate in (0.005, 0.01)]
    return pack(shallow, tokens, members(*settings), checkpoint=tmp_path / "pack.pt")


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


@needs_compiler
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_compiled_pack_trains_as_another_also_resumed(spec: PackSpec) -> None:
    plain = train(start_pack(spec.model_copy(update={"checkpoint": None})))
    compiled = spec.model_copy(update={"compiled": True})
    started = start_pack(compiled)
    first = started.advance()
    assert validation_losses(first, 0) != validation_losses(plain, 0)[:1]
    evaluations = train(start_pack(compiled))
    for number in range(2):
        assert validation_losses(evaluations, number) == pytest.approx(
            validation_losses(plain, number), rel=CLOSE
        )


@needs_compiler
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_calibration_tells_what_compiling_takes_and_gives(
    shallow: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "COMPILING_SECONDS", 0.0)
    found = calibrate_compiling(shallow, TRAINING, ExecutionSpec(), 2)
    assert found is not None
    assert found.plain > 0
    assert found.compiled > 0
    assert found.startup > found.compiled


def test_short_training_is_not_compiled(shape: Shape) -> None:
    assert calibrate_compiling(shape, TRAINING, ExecutionSpec(), 1) is None


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_a_pack_trains_as_it_is(spec: PackSpec) -> None:
    assert not can_compile()
    plain = train(start_pack(spec.model_copy(update={"checkpoint": None})))
    compiled = train(start_pack(spec.model_copy(update={"compiled": True})))
    assert validation_losses(compiled, 0) == validation_losses(plain, 0)


def test_compiling_pays_if_a_pack_ends_earlier_with_it() -> None:
    found = Compiling(members=1, plain=1.0, compiled=0.5, startup=100.0)
    assert not found.pays(200)
    assert found.pays(201)
    assert not found.model_copy(update={"compiled": 1.1}).pays(10**6)
