"""Imports go down only, heavy libraries live in one room each, and start-up loads none of them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxytune.workflows.studies import run_study
from proxytune.workflows.workspace import Workspace
from tests.commands import TINY, write_yaml

PACKAGE = Path(__file__).parents[1] / "proxytune"
STUDIES = PACKAGE.parent / "studies"

ROOMS = {
    "errors": "",
    "libraries": "errors",
    "home": "errors",
    "files": "errors",
    "patience": "",
    "trainer": "",
    "config": "__version__ errors",
    "intervals": "config",
    "packs": "config",
    "scaling": "errors config",
    "targets": "errors config",
    "data": "errors libraries files config packs",
    "models": "errors config scaling",
    "training": "errors files config packs scaling data models",
    "exports": "errors files config scaling models",
    "trainers": "errors files config packs scaling training exports",
    "execution": "__init__ errors files config packs data",
    "storage": "errors libraries patience packs",
    "search": "errors config packs storage",
    "records": "errors libraries home files patience config packs",
    "plan": "errors config packs scaling",
    "selection": "errors config packs",
    "transfer": "errors files config packs scaling plan",
    "coordinates": "errors config intervals packs scaling data models training",
    "evidence": "errors config intervals packs scaling",
    "comparison": "config intervals packs search",
    "reports": "files config intervals packs search transfer evidence comparison",
    "doctor": "config home libraries",
    "workflows": "__version__ errors libraries home files patience config packs scaling data "
    "training trainers execution storage search records selection transfer coordinates evidence "
    "exports plan targets reports comparison",
    "cli": "__version__ errors libraries home patience config intervals packs scaling search "
    "records coordinates evidence exports transfer plan targets doctor workflows comparison",
    "testing": "errors config packs data records",
}
"""Room -> what it imports, all of it further up. `__init__` is the package itself."""

HOMES = {
    "jinja2": "reports",
    "optuna": "storage search workflows records reports",
    "plotly": "reports workflows",
    "ray": "execution",
    "mlflow": "records",
    "pyarrow": "records workflows data",
    "torch": "models training coordinates doctor",
    "scipy": "intervals selection",
    "sklearn": "selection",
    "matplotlib": "transfer coordinates evidence comparison",
    "click": "cli",
    "rich": "cli",
    "pytest": "testing",
}
"""Library -> the rooms that import it."""

HEAVY = {"torch", "ray", "optuna", "mlflow", "pyarrow", "matplotlib", "plotly", "sklearn"}
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


@pytest.fixture(scope="module")
def stored(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that was run to its end, and a file with mistakes."""
    folder = tmp_path_factory.mktemp("stored")
    write_yaml(folder / "bad.yaml", {"proxy": {"d_modle": 32}})
    run_study(
        write_yaml(folder / "tiny.yaml", TINY | {"data": {"text": str(text_file)}}),
        Workspace(folder / "home"),
    )
    return folder


def loaded_by(statement: str, folder: Path, code: int) -> set[str]:
    """The heavy libraries that a process loads for a statement, which ends with this code."""
    script = f"""
import sys
code = 0
try:
    {statement}
except SystemExit as end:
    code = end.code or 0
assert code == {code}, code
print(*sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)
"""
    process = [sys.executable, "-c", script]
    done = subprocess.run(process, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def command(words: str) -> str:
    return f"from proxytune.cli.main import main; main({words.split()!r})"


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("study list --home home", "optuna"),
        ("study show tiny --home home", "optuna"),
        ("study show tiny --json --home home", "optuna"),
        ("study export tiny --to trials.csv --home home", "optuna pyarrow"),
        ("report tiny --home home", "optuna plotly matplotlib"),
        ("schema study", ""),
        ("schema report-study", ""),
        ("schema report-plan", ""),
        ("schema report-scaling", ""),
        ("schema report-export", ""),
        ("schema report-verify", ""),
    ],
)
def test_reading_loads_no_library_that_trains_or_draws(
    words: str, allowed: str, stored: Path
) -> None:
    assert loaded_by(command(words), stored, code=0) <= set(allowed.split())


@pytest.mark.parametrize(
    "words",
    [
        "study create bad.yaml",
        "study show gone --home home",
        "study run gone --home home",
        "report gone --home home",
        "plan --target bad.yaml",
        "transfer --target bad.yaml",
        "export --target bad.yaml --for pytorch",
        "verify bad.yaml --projection .",
        "transfer --target nowhere.yaml --home home",
        "coord-check --axis width --study bad.yaml",
        "scaling --base bad.yaml --target bad.yaml",
        "schema gone",
    ],
)
def test_refusing_bad_input_loads_no_library_that_trains_or_draws(
    words: str, stored: Path
) -> None:
    assert loaded_by(command(words), stored, code=2) <= {"optuna"}


@pytest.mark.parametrize(
    "statement",
    [
        "import proxytune",
        "import proxytune; proxytune.Workspace, proxytune.InputError, proxytune.StudySpec",
        "from proxytune.cli.main import main; main(['--help'])",
        "from proxytune.cli.main import main; main(['study', 'create', '--help'])",
        "from proxytune.cli.main import main; main(['scaling', '--json', "
        f"'--base={STUDIES}/quickstart.yaml', '--target={STUDIES}/targets/small.yaml'])",
    ],
    ids=["import", "types", "help", "help of a verb", "scaling"],
)
def test_starting_loads_no_heavy_library(statement: str) -> None:
    assert loaded_by(statement, STUDIES, code=0) == set()


def test_who_asks_for_packs_loads_no_torch() -> None:
    workflows = "proxytune.workflows.study_run, proxytune.workflows.transfer"
    driver = f"import {workflows}, proxytune.execution.ray.executor, proxytune.trainers.choice"
    assert "torch" not in loaded_by(driver, STUDIES, code=0)
