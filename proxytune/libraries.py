"""The libraries that proxytune needs, and what to say where one of them is not installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from proxytune.errors import InputError

INSTALL = "pip install proxytune"
"""What installs everything that the main job needs."""

LIBRARIES = {
    "click": "click",
    "jinja2": "Jinja2",
    "matplotlib": "matplotlib",
    "mlflow": "mlflow",
    "numpy": "numpy",
    "optuna": "optuna",
    "plotly": "plotly",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "ray": "ray",
    "rich": "rich",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sqlalchemy": "SQLAlchemy",
    "torch": "torch",
    "yaml": "PyYAML",
}
"""Name in an import -> name of the package, for every library that INSTALL brings."""

EXTRAS = {
    "optuna_dashboard": "dashboard",
    "psycopg": "postgres",
    "sentencepiece": "tokenizers",
    "tokenizers": "tokenizers",
}
"""Name in an import -> the extra of proxytune that brings it."""


class MissingLibrary(InputError, ImportError):
    """A library is needed that is not installed; also an ImportError, as Python would raise."""


@contextmanager
def libraries_in_words() -> Iterator[None]:
    """Within it, a missing library of proxytune is told with the command that installs it.

    Raises MissingLibrary. Any other module that is not found stays the error that it is: a module
    of proxytune's own, or one that an installed library should have brought.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES or sys.modules.get(library) is not None:
            raise
        raise MissingLibrary(not_installed(library)) from None


def require(module: str) -> ModuleType:
    """A library of an extra. Raises MissingLibrary if it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingLibrary(not_installed(module)) from None


def not_installed(module: str) -> str:
    """That a module is not installed, with the command that installs it where there is one."""
    if module in LIBRARIES:
        command = INSTALL
    elif module in EXTRAS:
        command = f"pip install 'proxytune[{EXTRAS[module]}]'"
    else:
        return f"{module} is not installed"
    return f"{LIBRARIES.get(module, module)} is not installed; install it with: {command}"
