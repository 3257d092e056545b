"""proxytune: tune on small GQA-μP proxies, train large."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "LLAMA",
    "Shape",
    "forward_multipliers",
    "init_weights_",
    "param_groups",
    "run_coordinates",
]

if TYPE_CHECKING:
    from proxytune.config.shape import Shape
    from proxytune.models.library import forward_multipliers, init_weights_, param_groups
    from proxytune.models.roles import LLAMA
    from proxytune.workflows.coordinates import run_coordinates

_HOMES = {
    "LLAMA": "proxytune.models.roles",
    "Shape": "proxytune.config.shape",
    "run_coordinates": "proxytune.workflows.coordinates",
}


def __getattr__(name: str) -> Any:
    """Loads the library when it is first asked for: the commands start without torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "proxytune.models.library")), name)
