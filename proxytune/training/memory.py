"""Memory of the CPU: kept from step to step; and one word for running out of it anywhere."""

import ctypes
import platform
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

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Options of mallopt(3)."""


def keep_freed_memory() -> None:
    """Has this process keep what tensors free, for the tensors of the next step.

    By default, glibc gives large blocks back at once, and the system then clears every page of
    them anew in each step: a sixth of the time of a pack of eight small proxies.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


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
