"""How a model is sharded does not change what it trains to."""

import json
from pathlib import Path

import pytest

from tests.torchrun import torchrun


def losses_over(processes: int, to: Path) -> list[float]:
    """Losses of tests/models/sharded.py in so many processes, FSDP2 over gloo."""
    torchrun("tests.models.sharded", to, processes=processes)
    return list(json.loads(to.read_text()))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_processes_with_fsdp2_train_as_one(tmp_path: Path) -> None:
    one, two = losses_over(1, tmp_path / "one.json"), losses_over(2, tmp_path / "two.json")
    assert one[-1] != pytest.approx(one[0], abs=0.01)
    assert two == pytest.approx(one, abs=1e-5)
