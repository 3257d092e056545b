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
    "home": "errors",
    "files": "errors",
    "spec": "__version__ errors",
    "scaling": "errors spec",
    "data": "errors files spec",
    "records": "errors files spec",
    "model": "errors spec scaling",
    "training": "errors files spec scaling data model",
    "search": "errors files spec records",
    "transfer": "errors files spec scaling data model training",
    "coordinates": "errors spec scaling data model training records search.executor",
    "evidence": "errors spec scaling data model training records search.executor",
    "doctor": "errors home",
    "plan": "errors spec",
    "pipeline": "__version__ errors home files spec scaling data records model training search "
    "transfer coordinates evidence plan",
    "cli": "__version__ errors spec scaling doctor pipeline",
}
"""Room -> what it may import, all of it further up; a part of a room may be named."""

HOMES = {
    "optuna": "search",
    "ray": "search",
    "mlflow": "records",
    "pyarrow": "records",
    "torch": "model training coordinates doctor",
    "matplotlib": "transfer coordinates evidence",
    "click": "cli",
    "rich": "cli",
}
"""Library -> the rooms that import it."""

HEAVY = {"torch", "ray", "optuna", "mlflow", "pyarrow", "matplotlib"}
FILES = sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "__init__.py"})


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that are imported, except under `if TYPE_CHECKING`."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    if isinstance(tree, ast.ImportFrom):
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from imports(child)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_part_of(name: str, places: str) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in places.split())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down_only(file: Path) -> None:
    room = room_of(file)
    for name in imports(ast.parse(file.read_text(encoding="utf-8"))):
        if name.startswith("proxytune."):
            inside = name.removeprefix("proxytune.")
            assert is_part_of(inside, f"{room} {ROOMS[room]}"), f"{room} imports {inside}"
        library = name.partition(".")[0]
        assert library not in HOMES or room in HOMES[library].split(), f"{room} imports {library}"


def test_what_a_room_may_import_stands_above_it() -> None:
    above = {"__version__"}
    for room, places in ROOMS.items():
        assert {place.partition(".")[0] for place in places.split()} <= above
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
