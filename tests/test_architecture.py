"""Imports go down only, heavy libraries live in one room each, and start-up loads none of them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "proxytune"
STUDIES = PACKAGE.parent / "studies"

ROOMS = {
    "errors": "",
    "libraries": "errors",
    "home": "errors",
    "files": "errors",
    "config": "__version__ errors",
    "packs": "config",
    "scaling": "errors config",
    "data": "errors files config",
    "models": "errors config scaling",
    "training": "errors files config packs scaling data models",
    "execution": "__init__ errors files config packs",
    "storage": "errors libraries packs",
    "search": "errors config packs storage",
    "records": "errors files config packs",
    "transfer": "errors files config packs",
    "coordinates": "config scaling data models",
    "evidence": "config packs",
    "plan": "errors config packs",
    "doctor": "home libraries",
    "workflows": "__version__ errors home files config packs scaling data models training "
    "execution storage search records transfer coordinates evidence plan",
    "cli": "__version__ errors libraries home config packs scaling search records coordinates "
    "evidence plan doctor workflows",
}
"""Room -> what it imports, all of it further up. `__init__` is the package itself."""

HOMES = {
    "optuna": "storage search workflows",
    "ray": "execution",
    "mlflow": "records",
    "pyarrow": "records workflows",
    "torch": "models training coordinates doctor",
    "matplotlib": "transfer coordinates evidence",
    "click": "cli",
    "rich": "cli",
}
"""Library -> the rooms that import it."""

HEAVY = {"torch", "ray", "optuna", "mlflow", "pyarrow", "matplotlib"}
FILES = sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "__init__.py"})


def imports(file: Path) -> Iterator[str]:
    """Dotted names that a file imports, for its types alone or when it runs."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(room: str) -> set[str]:
    """The other rooms that a room's files import."""
    names = {name for file in FILES if room_of(file) == room for name in imports(file)}
    inside = [name.split(".") for name in names if name.partition(".")[0] == "proxytune"]
    return {parts[1] if len(parts) > 1 else "__init__" for parts in inside} - {room}


def test_every_room_is_in_the_table() -> None:
    assert {room_of(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    assert rooms_imported(room) == set(ROOMS[room].split())


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_where_the_table_says(library: str) -> None:
    rooms = {
        room_of(file)
        for file in FILES
        for name in imports(file)
        if name.partition(".")[0] == library
    }
    assert rooms == set(HOMES[library].split())


def test_what_a_room_imports_stands_above_it() -> None:
    above = {"__version__", "__init__"}
    for room, places in ROOMS.items():
        assert set(places.split()) <= above
        above.add(room)


@pytest.mark.parametrize(
    "statement",
    [
        "import proxytune",
        "from proxytune.cli.main import main; main(['--help'])",
        "from proxytune.cli.main import main; main(['study', 'create', '--help'])",
        "from proxytune.cli.main import main; main(['scaling', '--json', "
        f"'--base={STUDIES}/quickstart.yaml', '--target={STUDIES}/targets/small.yaml'])",
    ],
    ids=["import", "help", "help of a verb", "scaling"],
)
def test_starting_loads_no_heavy_library(statement: str) -> None:
    script = f"""
import sys
try:
    {statement}
except SystemExit as end:
    assert not end.code
print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")
