"""Passwords stay where the user gave them, and nothing that is read or served can run code."""

import ast
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from proxytune.errors import masked
from tests.commands import TARGET, TINY, proxytune, write_yaml
from tests.servers import Databases

PACKAGE = Path(__file__).parents[1] / "proxytune"
SECRET = b"s3cret"


def rows(database: str) -> bytes:
    """Everything that a database holds, as text."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        assert tables
        found = [
            connection.execute(
                sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
            ).fetchall()
            for (table,) in tables
        ]
    return repr(found).encode()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_password_in_an_address_is_kept_nowhere(
    databases: Databases, mlflow_server: str, text_file: Path, tmp_path: Path
) -> None:
    study = TINY | {"name": "discreet", "data": {"text": str(text_file)}}
    file = write_yaml(tmp_path / "discreet.yaml", study)
    target = write_yaml(tmp_path / "wide.yaml", TARGET)
    assert SECRET in databases.optuna.encode()
    at = (
        *("--storage", databases.optuna, "--home", tmp_path / "home"),
        *("--tracking-uri", mlflow_server.replace("://", "://me:s3cret-t@")),
    )
    results = [
        proxytune("study", "create", file, *at),
        proxytune("study", "show", "discreet", "--json", *at),
        proxytune("study", "sync", "discreet", *at),
        proxytune("transfer", "--target", target, "--study", "discreet", *at),
        proxytune("ui", *at),
        proxytune("study", "show", "nope", *at),
    ]
    assert [result.exit_code for result in results[:3]] == [0, 0, 0], results[0].output
    for result in results:
        assert SECRET not in result.output.encode()
    # The server's folder is beside this test's, as pytest makes them.
    served = list(tmp_path.parent.glob("mlflow-server*/**/*"))
    kept = [path for path in [*(tmp_path / "home").rglob("*"), *served] if path.is_file()]
    assert served
    assert any("parquet" in path.parts for path in kept)
    assert not [path for path in kept if SECRET in path.read_bytes()]
    for database in (databases.optuna, databases.mlflow):
        held = rows(database)
        assert b"discreet" in held
        assert SECRET not in held


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:s3cret@host:5432/x", "postgresql://me:***@host:5432/x"),
        (
            "postgresql://host/x?user=me&password=s3cret",
            "postgresql://host/x?user=me&password=***",
        ),
        ("http://:s3cret@host", "http://:***@host"),
        ("(https://h/?access_token=s3cret&a=1) no", "(https://h/?access_token=***&a=1) no"),
        ("sqlite:////home/me/optuna.db", "sqlite:////home/me/optuna.db"),
    ],
)
def test_a_password_is_masked_wherever_an_address_holds_it(uri: str, shown: str) -> None:
    assert masked(uri) == shown


CALLS = [
    (str(file.relative_to(PACKAGE)), node)
    for file in sorted(PACKAGE.rglob("*.py"))
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def calls_of(library: str) -> list[tuple[str, str, ast.Call]]:
    """Calls of a library's functions in the package: file, function, call."""
    return [
        (file, node.func.attr, node)
        for file, node in CALLS
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == library
    ]


def test_yaml_is_read_and_written_safely() -> None:
    used = {name for _, name, _ in calls_of("yaml")}
    assert used == {"safe_load", "safe_dump"}


def test_checkpoints_are_read_as_tensors_only_and_nothing_is_unpickled() -> None:
    (load,) = [node for _, name, node in calls_of("torch") if name == "load"]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in load.keywords}
    assert given["weights_only"] == "True"
    assert [*calls_of("pickle"), *calls_of("cloudpickle")] == []


def test_no_server_is_open_to_the_network_and_no_dashboard_is_started() -> None:
    text = {file: file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")}
    assert not [file for file, source in text.items() if "0.0.0.0" in source]
    dashboards = [
        ast.unparse(keyword.value)
        for _, node in CALLS
        for keyword in node.keywords
        if keyword.arg == "include_dashboard"
    ]
    assert dashboards == ["False"]
