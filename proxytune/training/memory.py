"""Keeps freed CPU memory for the next step, and turns all out-of-memory errors into one."""

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
"""Texts in torch's plain RuntimeErrors that mean out of memory."""

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Options of mallopt(3)."""


def keep_freed_memory() -> None:
    """Makes this process keep freed memory for the tensors of the next step.

    By default, glibc returns large blocks to the system, which then clears every page again in
    each step. That took a sixth of the time of a pack of eight small proxies.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def within_memory() -> Iterator[None]:
    """Turns a failed allocation into PackTooLarge; also a decorator."""
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
