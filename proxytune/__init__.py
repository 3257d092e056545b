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


if not TYPE_CHECKING:  # A checker would take every name for one that is there.

    def __getattr__(name: str) -> Any:
        """Loads what is asked for: `import proxytune` alone loads no torch.

        Raises InputError where a library that it needs is not installed.
        """
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from proxytune.libraries import libraries_in_words

        with libraries_in_words():
            return getattr(import_module(_HOMES.get(name, "proxytune.models.library")), name)
