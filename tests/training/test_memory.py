"""A pack keeps the memory it has had; that it does not fit is an error of its own kind."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from proxytune.config.shape import Shape
from proxytune.errors import PackTooLarge
from proxytune.execution.local import LocalExecutor
from proxytune.testing.packs import TRAINING, hyperparameters, members, pack
from proxytune.testing.recording import Recording
from proxytune.training.memory import within_memory
from proxytune.training.pack import start_pack

PAGE_FAULTS = """
import resource, sys
from proxytune.packs.pack import PackSpec
from proxytune.training.pack import PackTrainer

trainer = PackTrainer(PackSpec.model_validate_json(sys.stdin.read()))
trainer.advance()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
trainer.advance()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others return no blocks")
def test_later_steps_fault_no_memory_in_again(shape: Shape, tokens: Path) -> None:
    """In a process of its own, since the setting is the process's."""
    four = pack(
        shape.at(vocab_size=4096),
        tokens,
        members(*[hyperparameters()] * 4),
        TRAINING.model_copy(update={"steps": 20, "evaluations": 2, "batch_size": 16}),
    )
    done = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS],
        input=four.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    # Some 135,000 where freed memory goes back to the system. A block of logits may once find no
    # place in what was kept: 4 members x 16 x 16 x 4096 floats, 4,096 pages.
    assert int(done.stdout) < 10_000


def test_a_batch_of_petabytes_is_too_large(shape: Shape, tokens: Path) -> None:
    """A real allocation that fails: no machine has so much to give, not even on credit."""
    vast = shape.at(vocab_size=10**13)
    with pytest.raises(PackTooLarge, match=r"does not fit into memory \(.*"):
        start_pack(pack(vast, tokens, members(hyperparameters())))


def test_a_pack_that_does_not_fit_fails_with_the_reason(shape: Shape, tokens: Path) -> None:
    longest = TRAINING.model_copy(update={"batch_size": 10**13})
    source = Recording([pack(shape, tokens, members(hyperparameters()), longest)])
    LocalExecutor(start_pack).run(source)
    ((_, reason),) = source.failed
    assert reason.startswith("does not fit into memory (")


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError])
def test_every_kind_of_shortage_is_the_same_error(kind: type[Exception]) -> None:
    with pytest.raises(PackTooLarge, match="does not fit into memory"), within_memory():
        raise kind


def test_other_errors_are_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="a bad batch"), within_memory():
        raise RuntimeError("a bad batch")
