"""What every library says when memory runs out, in one word: PackTooLarge."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from proxytune.errors import PackTooLarge

ALLOCATION_FAILURES = (
    "DefaultCPUAllocator",
    "Storage size calculation overflowed",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""How plain RuntimeErrors of torch begin or go on that mean that memory ran out."""


@contextmanager
def within_memory() -> Iterator[None]:
    """Raises PackTooLarge in the place of a failed allocation; also a decorator."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _in_words(error) from None
    except RuntimeError as error:
        if any(failure in str(error) for failure in ALLOCATION_FAILURES):
            raise _in_words(error) from None
        raise


def _in_words(error: Exception) -> PackTooLarge:
    said = str(error).partition("\n")[0]
    return PackTooLarge(f"does not fit into memory ({said or type(error).__name__})")
