"""Bad input gives one message and exit code 2, and leaves nothing behind."""

import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.commands import TARGET, TINY, proxytune, write_yaml

ODD = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 3}
FILES: dict[str, Any] = {
    "tiny": TINY,
    "no-corpus": TINY | {"data": {"text": "nowhere/*.txt"}},
    "odd": TINY | {"proxy": ODD},
    "target": TARGET,
    "odd-target": {"shape": ODD},
    "tied": {"shape": TARGET["shape"] | {"tied": True}},
}
NO_STUDY = "study = 'nope': no such study; there are: none so far"
BAD: list[tuple[str, str]] = [
    ("study show nope", NO_STUDY),
    ("study run nope", NO_STUDY),
    ("study delete nope --yes", NO_STUDY),
    ("study export nope --to trials.csv", NO_STUDY),
    ("study create nowhere.yaml", "nowhere.yaml: cannot be read: No such file or directory"),
    ("study create broken.yaml", "broken.yaml: is not valid YAML"),
    ("study create odd.yaml", "odd.yaml: proxy.n_kv_heads = 3: must divide n_heads = 4"),
    ("study create no-corpus.yaml", "no-corpus.yaml: data.text = "),
    ("study create tiny.yaml --storage nosql://host", "storage = 'nosql://host': cannot be used"),
    ("study list --storage nosql://me:secret@host", "storage = 'nosql://"),
    ("transfer --target nowhere.yaml", "nowhere.yaml: cannot be read"),
    ("transfer --target odd-target.yaml", "odd-target.yaml: shape.n_kv_heads = 3: must divide"),
    ("transfer --target target.yaml", "holds no complete study to transfer from"),
    ("transfer --target target.yaml --study nope", NO_STUDY),
    ("ui", "there is no such store"),
    (
        "study create tiny.yaml --tracking-uri nonsense://me:secret@host",
        "--tracking-uri = 'nonsense://me:***@host': must be an address of MLflow",
    ),
    ("study run nope --tracking-uri nonsense://", "must be an address of MLflow"),
    ("transfer --target target.yaml --tracking-uri nonsense://", "must be an address of MLflow"),
]
BAD_RULES: list[tuple[str, str]] = [
    ("--base nowhere.yaml --target target.yaml", "nowhere.yaml: cannot be read"),
    ("--base tiny.yaml --target broken.yaml", "broken.yaml: is not valid YAML"),
    ("--base tiny.yaml --target target.yaml --depth-alpha 2", "depth_alpha = 2.0: must be one of"),
    ("--base tiny.yaml --target tied.yaml", "tied.yaml: tied is true where it must be false"),
]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the commands name, in the working folder."""
    for name, document in FILES.items():
        write_yaml(tmp_path / f"{name}.yaml", document)
    (tmp_path / "broken.yaml").write_text("proxy: [")
    monkeypatch.chdir(tmp_path)


def assert_refused(result: Result, says: str) -> None:
    """One line on stderr, nothing on stdout, exit code 2."""
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert says in line


@pytest.mark.parametrize(("command", "says"), BAD, ids=[command for command, _ in BAD])
def test_bad_input_is_refused_and_leaves_no_home(command: str, says: str, tmp_path: Path) -> None:
    result = proxytune(*command.split(), "--home", "home")
    assert_refused(result, says)
    assert "secret" not in result.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("command", "says"), BAD_RULES, ids=[command for command, _ in BAD_RULES])
def test_bad_shapes_and_options_of_rules_are_refused(command: str, says: str) -> None:
    assert_refused(proxytune("scaling", *command.split()), says)


@pytest.mark.parametrize(
    "command",
    [
        "study list",
        "study show tiny",
        "study create tiny.yaml",
        "transfer --target target.yaml",
        "ui",
    ],
)
def test_a_home_that_cannot_be_written_is_refused(
    command: str, text_file: Path, tmp_path: Path
) -> None:
    write_yaml(tmp_path / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})
    result = proxytune(*command.split(), "--home", "broken.yaml/home")
    assert_refused(result, f"--home = 'broken.yaml/home': {tmp_path / 'broken.yaml'} is no folder")


def test_listing_nothing_leaves_no_home(tmp_path: Path) -> None:
    result = proxytune("study", "list", "--json", "--home", "home")
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert not (tmp_path / "home").exists()


def test_a_study_that_has_not_run_cannot_be_transferred(text_file: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "tiny.yaml", TINY | {"data": {"text": str(text_file)}})
    proxytune("study", "create", "tiny.yaml", "--no-run", "--home", "home")
    result = proxytune("transfer", "--target", "target.yaml", "--study", "tiny", "--home", "home")
    assert_refused(result, "finish it with: proxytune study run tiny")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("study show nope", "study = 'nope': no such study; there are: tiny"),
        ("study export tiny --to trials.xls", "must end in .parquet, .csv, .json"),
        ("study export tiny --to nowhere/trials.csv", "there is no folder nowhere"),
        ("transfer --target tied.yaml", "tied.yaml: tied is true where it must be false"),
        ("ui --port {taken}", "is taken; name another"),
    ],
)
def test_bad_input_changes_nothing_in_a_home(command: str, says: str, home: Path) -> None:
    before = contents(home)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        words = command.format(taken=listening.getsockname()[1]).split()
        assert_refused(proxytune(*words, "--home", home), says)
    assert contents(home) == before


@pytest.mark.slow
def test_a_study_is_not_redefined(home: Path, tmp_path: Path) -> None:
    before = proxytune("study", "show", "tiny", "--json", "--home", home).stdout
    other = write_yaml(tmp_path / "other.yaml", TINY | {"seed": 1})
    result = proxytune("study", "create", other, "--home", home)
    assert_refused(result, "a study of this name exists with another definition")
    assert proxytune("study", "show", "tiny", "--json", "--home", home).stdout == before


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file, with its size and when it was last written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {file: ((stat := file.stat()).st_size, stat.st_mtime_ns) for file in files}
