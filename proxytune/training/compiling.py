"""torch.compile for packs, where there is a compiler."""

import os
import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Result = TypeVar("Result")

_RECOMPILATIONS = 64
"""A process trains packs of many sizes, and a pack gets smaller; torch would stop at 8."""


def can_compile() -> bool:
    """Whether torch.compile finds its compiler: for C++, and Triton as well on GPUs."""
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    has_compiler = any(name and shutil.which(name) for name in compilers)
    return has_compiler and (not torch.cuda.is_available() or torch.utils._triton.has_triton())


def compiled_(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function, compiled at its first call; as it is where there is no compiler."""
    if not can_compile():
        return function
    torch._dynamo.config.recompile_limit = _RECOMPILATIONS
    return torch.compile(function, dynamic=False)
