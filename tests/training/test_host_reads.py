"""Between two evaluations nothing waits for the device: the host reads no number of it.

A read is counted on any device: on a CPU it costs nothing, on a GPU it ends the queue of kernels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from proxytune.config.shape import Shape
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.training.pack import start_pack

METHODS = {
    *(Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.item),
    *(Tensor.__bool__, Tensor.__float__, Tensor.__int__),
}
aten = torch.ops.aten
OPERATORS = {
    *(aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default),
    *(aten.equal.default, aten.is_nonzero.default),
}
"""What these return, or its size, depends on numbers of the device."""


class _Calls(TorchFunctionMode):
    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in METHODS:
            self._seen.append(str(func))
        return func(*args, **(kwargs or {}))


class _Dispatches(TorchDispatchMode):
    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in OPERATORS:
            self._seen.append(str(func))
        return func(*args, **(kwargs or {}))


def reads(shape: Shape, tokens: Path, steps: int, changes: Mapping[str, object]) -> list[str]:
    """What is read from the device while a pack of three trains to its only evaluation."""
    training = TRAINING.model_copy(
        update={"steps": steps, "evaluations": 1, "evaluation_batches": 1, **changes}
    )
    settings = [hyperparameters(rate) for rate in (0.005, 0.01, 0.02)]
    trainer = start_pack(
        pack(shape, tokens, members(*settings)).model_copy(update={"training": training})
    )
    seen: list[str] = []
    with _Calls(seen), _Dispatches(seen):
        trainer.advance()
    assert trainer.done
    return seen


@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16"}, {"clip_norm": None}], ids=str)
def test_a_longer_way_to_an_evaluation_reads_no_more(
    shape: Shape, tokens: Path, changes: dict[str, object]
) -> None:
    few, many = (reads(shape, tokens, steps, changes) for steps in (2, 40))
    assert few
    assert many == few


def test_a_read_in_a_step_is_seen(
    shape: Shape, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxytune.training.optimizer import PackedAdamW

    step = PackedAdamW.step

    def reading(self: PackedAdamW, lr_factor_K: Tensor) -> Tensor:
        norm_K = step(self, lr_factor_K)
        assert norm_K.max() >= 0
        return norm_K

    monkeypatch.setattr(PackedAdamW, "step", reading)
    assert len(reads(shape, tokens, 40, {})) > len(reads(shape, tokens, 2, {}))
