"""Passwords stay where the user gave them, and nothing that is read or served can run code."""

import ast
import random
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
import yaml
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from proxytune.config.written import _Loader
from proxytune.errors import masked, masked_url
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
        ("postgresql://me:pa/s3cret@host/x", "postgresql://me:***@host/x"),
        ("postgresql://me@azure:s3cret@host/x", "postgresql://me@azure:***@host/x"),
        ("postgresql://me:s3@cret@host/x", "postgresql://me:***@host/x"),
        ("postgresql://me@host:5432/x", "postgresql://me@host:5432/x"),
        ("https://s3cret@host/x", "https://***@host/x"),
        ("http://host:5000/x@y", "http://host:5000/x@y"),
        ("http://me:s3/cret@host", "http://me:***@host"),
    ],
)
def test_a_password_is_masked_wherever_an_address_holds_it(uri: str, shown: str) -> None:
    assert masked(uri) == shown


PIECES = [
    "s3cret",
    "/",
    "@",
    ":",
    "?",
    " ",
    "%2F",
    "#",
    "&",
    "=",
    "'",
    "[",
    ".",
    "ä",
    "\\",
    "5432",
]


def drawn_url(seed: int) -> str:
    """An address with a secret somewhere in it, in all the ways that parsers allow, and others."""
    draw = random.Random(seed)

    def some(most: int) -> str:
        return "".join(draw.choices(PIECES, k=draw.randint(0, most)))

    user = draw.choice(["", "me", "me@server", "a b"])
    key = draw.choice(["password", "sslpassword", "PWD", "api_key", "x"])
    return (
        f"{draw.choice(['postgresql', 'mysql+pymysql', 'sqlite', 'http', 'https'])}://"
        f"{user}{draw.choice([':', ':', ''])}{some(4)}{draw.choice(['@', '@', ''])}"
        f"{draw.choice(['host', 'host:5432', '[::1]', ''])}/{draw.choice(['', 'name'])}"
        f"{draw.choice(['', f'?{key}={some(3)}', f'?y=1&{key}={some(3)}'])}"
    )


def secrets_in(url: str) -> list[str]:
    """What those who connect by an address take for its secrets."""
    if url.startswith("http"):
        parts = urlsplit(url)
        query, password = dict(parse_qsl(parts.query)), parts.password
    else:
        made = make_url(url)
        query, password = {k: str(v) for k, v in made.query.items()}, made.password
    return [str(password), *(value for key, value in query.items() if key != "x" and key != "y")]


def test_whatever_a_parser_takes_for_a_password_is_masked() -> None:
    checked = 0
    for url in map(drawn_url, range(4000)):
        try:
            secret = any("s3cret" in found for found in secrets_in(url))
        except (ArgumentError, ValueError):
            continue
        if secret:
            checked += 1
            hidden = [s for s in secrets_in(masked_url(url)) if "s3cret" in s]
            assert hidden == [], url
            assert masked(f"no {url}: gone", url).count("s3cret") <= masked_url(url).count(
                "s3cret"
            )
    assert checked > 200


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
    # What makes objects of what a file says is not among its constructors.
    assert issubclass(_Loader, yaml.SafeLoader)
    assert not issubclass(_Loader, yaml.UnsafeLoader)
    assert {*_Loader.yaml_multi_constructors} == set()


def test_checkpoints_are_read_as_tensors_only_and_nothing_is_unpickled() -> None:
    (load,) = [node for _, name, node in calls_of("torch") if name == "load"]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in load.keywords}
    assert given["weights_only"] == "True"
    # The one that a contract writes, to see it refused.
    pickles = [call[:2] for call in [*calls_of("pickle"), *calls_of("cloudpickle")]]
    assert pickles == [("testing/data.py", "dumps")]


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
