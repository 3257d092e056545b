"""Bad input of every kind: one message, the right exit code, and the next command works."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from click.testing import Result

from proxytune.home import Home
from proxytune.search.study import SPEC
from proxytune.search.trials import PACK, SEED
from proxytune.storage.lease import LEASE, Holder
from proxytune.storage.open import open_storage
from proxytune.workflows.workspace import Workspace
from tests.commands import TARGET, TINY, proxytune, write_yaml

NO_STUDY = "study = 'nope': no such study; there are: tiny"
ODD = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 3}
LONG = "x" * 65

Spoil = Callable[[Path], object]
"""Does something to the working folder, where the home is, too."""


@dataclass(frozen=True)
class Case:
    """A command that cannot be carried out, and what it says."""

    command: str
    says: str
    spoil: Spoil = lambda folder: None
    code: int = 2
    """2 for what the user gave, 1 for what goes wrong while running."""
    repair: Spoil = lambda folder: None
    """What the message says to do, or what else was wrong."""
    then: str = "study run tiny"
    """What works afterwards."""


def study(**changes: object) -> Spoil:
    """A study file that differs from a good one; None takes a key away."""
    document = {
        key: value
        for key, value in (TINY | {"name": "bad"} | changes).items()
        if value is not None
    }
    return lambda folder: write_yaml(folder / "bad.yaml", document)


def file(name: str, contents: bytes) -> Spoil:
    """A file with these contents."""
    return lambda folder: (folder / name).write_bytes(contents)


def target(**changes: object) -> Spoil:
    """A target file that differs from a good one."""
    return lambda folder: write_yaml(folder / "bad.yaml", TARGET | changes)


def change(name: str, of: Callable[[bytes], bytes]) -> Spoil:
    """Rewrites files of the home."""

    def rewrite(folder: Path) -> None:
        files = list((folder / "home").glob(name))
        assert files
        for path in files:
            path.write_bytes(of(path.read_bytes()))

    return rewrite


def attribute(key: str, of: Callable[[str | None], str]) -> Spoil:
    """Changes an attribute of the stored study."""

    def put(folder: Path) -> None:
        storage = open_storage(Home(folder / "home").journal, None)
        stored = storage.get_study_id_from_name("tiny")
        value = of(storage.get_study_user_attrs(stored).get(key))
        storage.set_study_user_attr(stored, key, value)

    return put


def held(folder: Path) -> None:
    """Another machine runs the study."""
    elsewhere = replace(Holder.here(), host="far", pid=7, place="far away")
    attribute(LEASE, lambda _: elsewhere.text())(folder)


def free(folder: Path) -> None:
    """It does not any more."""
    attribute(LEASE, lambda _: "")(folder)


def stopped(name: str, **changes: object) -> Spoil:
    """A study that was defined and has not run."""

    def create(folder: Path) -> None:
        file = write_yaml(folder / "stopped.yaml", good(folder) | {"name": name} | changes)
        create = ("study", "create", file, "--no-run", "--home", folder / "home")
        assert proxytune(*create).exit_code == 0

    return create


def left(checkpoint: bytes | dict[str, object]) -> Spoil:
    """A study stopped in its first pack, with this as the pack's checkpoint."""

    def stop(folder: Path) -> None:
        stopped("left")(folder)
        home = Home(folder / "home")
        study = optuna.load_study(study_name="left", storage=open_storage(home.journal, None))
        trial = study.ask()
        trial.suggest_float("learning_rate", 0.002, 0.1, log=True)
        trial.set_user_attr(SEED, 0)
        trial.set_user_attr(PACK, "pack-00000")
        file = home.packs("left") / "pack-00000.pt"
        file.parent.mkdir(parents=True)
        if isinstance(checkpoint, bytes):
            file.write_bytes(checkpoint)
        else:
            torch.save(checkpoint, file)

    return stop


def good(folder: Path) -> dict[str, Any]:
    """A study that can be run here."""
    return TINY | {"data": {"text": str(folder / "text.txt")}}


def remove(name: str) -> Spoil:
    """Does what a message says."""
    return lambda folder: [path.unlink() for path in (folder / "home").glob(name)]


def restore(folder: Path) -> None:
    """Puts a copy of the journal in its place."""
    shutil.copy(folder / "copy.journal", folder / "home" / "optuna.journal")


def space(**ends: object) -> dict[str, object]:
    """A search of the learning rate."""
    return {"search": TINY["search"] | {"space": {"learning_rate": ends}}}


CREATE = "study create bad.yaml"
CLOSED = "postgresql+psycopg://me:s3cret@127.0.0.1:1/optuna"
CASES = {
    # Files that are no study.
    "no file": Case("study create nowhere.yaml", "nowhere.yaml: cannot be read: No such file"),
    "a folder": Case(
        CREATE, "File 'bad.yaml' is a directory", lambda folder: (folder / "bad.yaml").mkdir()
    ),
    "an empty file": Case(CREATE, "bad.yaml: holds nothing; a mapping", file("bad.yaml", b"")),
    "a binary file": Case(CREATE, "bad.yaml: is not UTF-8", file("bad.yaml", bytes(range(256)))),
    "null bytes": Case(CREATE, "bad.yaml: is not valid YAML", file("bad.yaml", b"a: \0")),
    "malformed": Case(CREATE, "bad.yaml: is not valid YAML", file("bad.yaml", b"proxy: [")),
    "a list": Case(CREATE, "bad.yaml: holds a list; a mapping", file("bad.yaml", b"- 1")),
    "a word": Case(CREATE, "bad.yaml: holds a str; a mapping", file("bad.yaml", b"proxy")),
    "a key that is a number": Case(CREATE, "bad.yaml: 1: unknown key", study(**{"1": 2})),
    "a key that is a list": Case(CREATE, "is not valid YAML", file("bad.yaml", b"? [1]\n: 2")),
    "code": Case(
        CREATE,
        "bad.yaml: is not valid YAML",
        file("bad.yaml", b"!!python/object/apply:os.system ['touch ran']"),
    ),
    # Studies that cannot be.
    "unknown key": Case(CREATE, "serch: unknown key; did you mean search?", study(serch={})),
    "missing key": Case(CREATE, "proxy: is missing", study(proxy=None)),
    "wrong type": Case(CREATE, "seed = 'no': should be a valid integer", study(seed="no")),
    "out of range": Case(CREATE, "seed = -1: should be greater than or", study(seed=-1)),
    "odd shape": Case(CREATE, "proxy.n_kv_heads = 3: must divide n_heads = 4", study(proxy=ODD)),
    "turned range": Case(
        CREATE, "high = 0.1: must be at least low", study(**space(low=1, high=0.1))
    ),
    "infinite": Case(CREATE, "high = inf: should be a finite", study(**space(low=1, high=1e999))),
    "newer file": Case(CREATE, "schema_version = 9: is newer than", study(schema_version=9, x=1)),
    # Names that would leave their folder.
    "name: escape": Case(CREATE, "name = '../x': String should match", study(name="../x")),
    "name: absolute": Case(CREATE, "name = '/tmp/x': String should match", study(name="/tmp/x")),
    "name: empty": Case(CREATE, "name = '': String should match", study(name="")),
    "name: too long": Case(CREATE, f"name = '{LONG}': String should match", study(name=LONG)),
    "name: upper case": Case(CREATE, "name = 'Tiny': String should match", study(name="Tiny")),
    "name: a line more": Case(CREATE, "String should match", study(name="tiny\n")),
    # Corpora.
    "no corpus": Case(CREATE, "data.text = ", study(data={"text": "nowhere/*.txt"})),
    "a folder as corpus": Case(CREATE, "data.text = ", study(data={"text": "home"})),
    "an empty corpus": Case(
        CREATE,
        "holds no text",
        lambda folder: (study(data={"text": "void.txt"})(folder), (folder / "void.txt").touch()),
    ),
    "a corpus too short": Case(
        CREATE,
        "one sequence needs 17",
        lambda folder: (study(data={"text": "s.txt"})(folder), file("s.txt", b"short")(folder)),
    ),
    "a binary corpus": Case(
        CREATE,
        "is binary, not text; if it holds token ids, write data.tokens",
        lambda folder: (
            study(data={"text": "bytes"})(folder),
            file("bytes", bytes(range(256)) * 40)(folder),
        ),
    ),
    "tokens of no type": Case(
        CREATE,
        "write data.dtype: uint16 or uint32",
        lambda folder: (
            study(data={"tokens": "ids.bin"})(folder),
            file("ids.bin", bytes(range(256)) * 40)(folder),
        ),
    ),
    "a token out of range": Case(
        CREATE,
        "ids.bin, position 127) is not in the vocabulary of proxy.vocab_size = 256",
        lambda folder: (
            study(
                data={"tokens": "ids.bin", "dtype": "uint16"},
                proxy=TINY["proxy"] | {"vocab_size": 256},
            )(folder),
            file("ids.bin", bytes(range(256)) * 40)(folder),
        ),
    ),
    "two corpora": Case(
        CREATE,
        "data.tokens: cannot be given along with text",
        study(data={"text": "a.txt", "tokens": "b.bin"}),
    ),
    # Studies by name.
    "show nothing": Case("study show nope", NO_STUDY),
    "run nothing": Case("study run nope", NO_STUDY),
    "sync nothing": Case("study sync nope", NO_STUDY),
    "delete nothing": Case("study delete nope --yes", NO_STUDY),
    "export nothing": Case("study export nope --to trials.csv", NO_STUDY),
    "show an escape": Case("study show ../../etc", "study = '../../etc': no such study"),
    "delete an escape": Case("study delete ../home --yes", "study = '../home': no such study"),
    "redefined": Case(
        "study create tiny.yaml",
        "a study of this name exists with another definition",
        lambda folder: write_yaml(folder / "tiny.yaml", good(folder) | {"seed": 1}),
    ),
    # Options.
    "to: ending": Case("study export tiny --to t.xls", "must end in .parquet, .csv, .json"),
    "to: no folder": Case("study export tiny --to no/t.csv", "there is no folder no"),
    "to: a folder": Case(
        "study export tiny --to t.csv",
        "File 't.csv' is a directory",
        lambda folder: (folder / "t.csv").mkdir(),
    ),
    "to: nothing": Case("study export tiny", "Missing option '--to'"),
    "port: taken": Case("ui --port {port}", "is in use; choose another"),
    "port: no number": Case("ui --port http", "'http' is not a valid integer"),
    "address: nobody": Case(
        "study run bad --address 127.0.0.1:1",
        "--address = '127.0.0.1:1': cannot join a Ray cluster there",
        stopped("bad", execution={"executor": "ray"}),
    ),
    "address: no port": Case(
        "study run bad --address 127.0.0.1:ray",
        "--address = '127.0.0.1:ray': cannot join a Ray cluster there",
        stopped("bad", execution={"executor": "ray"}),
    ),
    # Targets.
    "target: no file": Case("transfer --target nowhere.yaml", "nowhere.yaml: cannot be read"),
    "target: odd": Case(
        "transfer --target bad.yaml", "shape.n_kv_heads = 3: must divide", target(shape=ODD)
    ),
    "target: tied": Case(
        "transfer --target bad.yaml",
        "tied is true where it must be false",
        target(shape=TARGET["shape"] | {"tied": True}),
    ),
    "target: name": Case("transfer --target bad.yaml", "name = '../x'", target(name="../x")),
    "target: no study": Case(
        "transfer --target good.yaml --study nope",
        NO_STUDY,
        lambda folder: write_yaml(folder / "good.yaml", TARGET),
    ),
    "target: no complete study": Case(
        "transfer --target good.yaml --study bad",
        "study = 'bad': is not complete; finish it with: proxytune study run bad",
        lambda folder: (stopped("bad")(folder), write_yaml(folder / "good.yaml", TARGET)),
    ),
    # Rules.
    "scaling: no base": Case(
        "scaling --base nowhere.yaml --target bad.yaml", "nowhere.yaml: cannot be read", target()
    ),
    "scaling: option": Case(
        "scaling --base bad.yaml --target bad.yaml --depth-alpha 2",
        "depth_alpha = '2.0': must be one of 1, 0.5",
        target(),
    ),
    "scaling: tied": Case(
        "scaling --base good.yaml --target bad.yaml",
        "bad.yaml: tied is true where it must be false",
        lambda folder: (
            target(shape=TARGET["shape"] | {"tied": True})(folder),
            write_yaml(
                folder / "good.yaml", TARGET | {"shape": TARGET["shape"] | {"tied": False}}
            ),
        ),
    ),
    "coord-check: label": Case(
        "coord-check --axis width --parameterization gqa-nup", "parameterizations"
    ),
    "coord-check: numbers": Case("coord-check --axis width --values 1,x", "values.1 = 'x'"),
    "coord-check: values": Case("coord-check --axis repeat --values 1,3", "must divide proxy.n"),
    "coord-check: steps": Case("coord-check --axis depth --steps 0", "steps = 0"),
    # Storages.
    "storage: scheme": Case(
        "study list --storage nosql://me:s3cret@host/x", "storage = 'nosql://"
    ),
    "storage: no URL": Case("study list --storage nonsense", "storage = 'nonsense': cannot be"),
    "storage: closed port": Case(f"study list --storage {CLOSED}", "storage = 'postgresql"),
    "storage: no driver": Case(
        "study list --storage postgresql+no://me:s3cret@host/x", "storage = 'postgresql+no:"
    ),
    "storage: no folder": Case("study list --storage sqlite:////no/o.db", "storage = 'sqlite:"),
    "storage: no database": Case(
        "study list --storage sqlite:///not.db", "storage = ", file("not.db", b"x" * 5000)
    ),
    "tracking: scheme": Case(
        "study run tiny --tracking-uri nosql://me:s3cret@host",
        "--tracking-uri = 'nosql://me:***@host': must be an address of MLflow",
    ),
    "tracking: no file": Case(
        "study sync tiny --tracking-uri sqlite:////proc/no/mlflow.db",
        "/proc/no/mlflow.db: cannot be written (",
        code=1,
    ),
    "tracking: closed port": Case(
        "study sync tiny --tracking-uri http://me:s3cret@127.0.0.1:1", "MLflow at http:", code=1
    ),
    # Homes.
    "home: a file": Case("study list --home text.txt", "'text.txt' is a file"),
    "home: in a file": Case("study list --home text.txt/home", "text.txt is not a folder"),
    # What is in a home.
    "journal: damaged": Case(
        "study show tiny",
        "optuna.journal: line 3 is damaged; restore the file",
        change("optuna.journal", lambda b: b"\n".join([*b.split(b"\n")[:2], b"{", b""])),
        repair=restore,
    ),
    "journal: binary": Case(
        "study run tiny",
        "optuna.journal: line 1 is damaged",
        change("optuna.journal", lambda b: os.urandom(100).replace(b"\n", b"") + b"\n" + b),
        repair=restore,
    ),
    "journal: another's": Case(
        "study list",
        "optuna.journal: line 1 is damaged",
        change("optuna.journal", lambda b: b'{"some": "json"}\n' + b),
        repair=restore,
    ),
    "study: newer": Case(
        "study show tiny",
        "study 'tiny': schema_version = 2: is newer than what proxytune",
        attribute(
            SPEC, lambda s: str(s).replace('"schema_version":1', '"schema_version":2,"x":1')
        ),
        repair=restore,
    ),
    "study: newer, run": Case(
        "study run tiny",
        "upgrade proxytune",
        attribute(SPEC, lambda s: str(s).replace('"schema_version":1', '"schema_version":2')),
        repair=restore,
    ),
    "study: newer, delete": Case(
        "study delete tiny --yes",
        "upgrade proxytune",
        attribute(SPEC, lambda s: str(s).replace('"schema_version":1', '"schema_version":2')),
        repair=restore,
    ),
    "study: unknown sampler": Case(
        "study show tiny",
        "study 'tiny': search.sampler = 'oracle': should be",
        attribute(SPEC, lambda s: str(s).replace('"sampler":"auto"', '"sampler":"oracle"')),
        repair=restore,
    ),
    "run twice": Case(
        "study run tiny", "is being run by process 7 on far, last heard from", held, repair=free
    ),
    "sync what runs": Case(
        "study sync tiny", "is being run by process 7 on far", held, repair=free
    ),
    "delete what runs": Case(
        "study delete tiny --yes", "is being run by process 7 on far", held, repair=free
    ),
    "MLflow: no database": Case(
        "study sync tiny",
        "MLflow at sqlite:",
        change("mlflow.db", lambda b: b"x" * 5000),
        code=1,
        repair=remove("mlflow.db"),
        then="study show tiny",  # MLflow keeps a store that it has opened
    ),
    "checkpoint: truncated": Case(
        "study run left",
        "pack-00000.pt: cannot be read as a checkpoint",
        left(b"PK\3\4 and no more"),
        code=1,
        repair=remove("packs/left/*.pt"),
        then="study run left",
    ),
    "checkpoint: newer": Case(
        "study run left",
        "its version is 4, not 3); remove the file",
        left({"version": 4, "steps": 5}),
        code=1,
        repair=remove("packs/left/*.pt"),
        then="study run left",
    ),
}


FINE = {
    "a corpus that is not UTF-8": Case(
        "study create fine.yaml",
        "",
        lambda folder: (
            write_yaml(folder / "fine.yaml", TINY | {"name": "x", "data": {"text": "latin-1"}}),
            file("latin-1", "".join(f"caf\xe9 {n}\n" for n in range(500)).encode("latin-1"))(
                folder
            ),
        ),
    ),
    "a torn journal": Case(
        "study run tiny", "", change("optuna.journal", lambda b: b + b'{"op_code":')
    ),
    "locks of dead processes": Case(
        "study run tiny",
        "",
        lambda folder: (
            file("home/optuna.journal.lock", b"")(folder),
            attribute(LEASE, lambda _: replace(Holder.here(), started=1).text())(folder),
        ),
    ),
    "half-written files": Case(
        "study run tiny",
        "",
        lambda folder: (
            (folder / "home/parquet/.new/trials/study=tiny").mkdir(parents=True, exist_ok=True),
            file("home/parquet/.new/trials/study=tiny/part-00000.parquet", b"P")(folder),
        ),
    ),
}
"""What looks bad, and is not."""


@pytest.fixture
def folder(home: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a corpus, and a home with a complete study, to be spoilt."""
    shutil.copytree(home, tmp_path / "home")
    # A copied home puts its artifacts in order when it is first used.
    _ = Workspace(tmp_path / "home").mlflow_uri
    shutil.copy(home / "optuna.journal", tmp_path / "copy.journal")
    shutil.copy(text_file, tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def run(command: str, taken: int = 0) -> Result:
    """A command on the home in this folder, where it has one."""
    words = command.format(port=taken).split()
    needs_home = words[0] != "scaling" and "--home" not in words
    return proxytune(*words, *(("--home", "home") if needs_home else ()))


def assert_refused(result: Result, says: str, code: int = 2) -> None:
    """One message on stderr, with no traceback and no password in it."""
    assert result.exit_code == code, result.output
    (message,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert result.stderr.splitlines()[-1] == message
    assert says in message
    assert "Traceback" not in result.output
    assert "s3cret" not in result.output


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_told_once_and_the_next_command_works(
    case: Case, folder: Path, taken: int
) -> None:
    case.spoil(folder)
    before = contents(folder)
    assert_refused(run(case.command, taken), case.says, case.code)
    if case.code == 2 and "--address" not in case.command:
        assert contents(folder) == before
    case.repair(folder)
    then = run(case.then)
    assert then.exit_code == 0, then.output


@pytest.mark.slow
@pytest.mark.parametrize("case", FINE.values(), ids=FINE)
def test_what_is_not_bad_is_not_refused(case: Case, folder: Path) -> None:
    case.spoil(folder)
    result = run(case.command)
    assert result.exit_code == 0, result.output
    begins = {line.partition(":")[0] for line in result.stderr.splitlines()}
    assert not {"Error", "Warning"} & begins


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("study show nope", "study = 'nope': no such study; there are: none so far"),
        ("study run nope", "there are: none so far"),
        ("study sync nope", "there are: none so far"),
        ("study delete nope --yes", "there are: none so far"),
        ("study export nope --to trials.csv", "there are: none so far"),
        ("study create bad.yaml", "data.text = "),
        ("study list --storage nosql://host", "storage = 'nosql://host': cannot be used"),
        ("transfer --target good.yaml", "holds no complete study to transfer from"),
        ("plan --target bad.yaml", "search: unknown key"),
        ("ui", "does not exist; make one"),
    ],
)
def test_bad_input_makes_no_home(
    command: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study(data={"text": "nowhere/*.txt"})(tmp_path)
    write_yaml(tmp_path / "good.yaml", TARGET)
    before = contents(tmp_path)
    result = run(command)
    assert result.exit_code == 2
    assert says in result.stderr
    assert contents(tmp_path) == before


def test_listing_nothing_makes_no_home(tmp_path: Path) -> None:
    result = proxytune("study", "list", "--json", "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert not (tmp_path / "home").exists()


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file, with its size and when it was last written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {file: ((stat := file.stat()).st_size, stat.st_mtime_ns) for file in files}
