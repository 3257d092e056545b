"""Files that are replaced: what was there stays until all that is new is there."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from proxytune.config.shape import Shape
from proxytune.errors import RunError
from proxytune.files import LEFT_SECONDS, replace, write_once
from proxytune.records.parts import write_parquet
from proxytune.testing.packs import hyperparameters, members, pack
from proxytune.training.checkpoint import Checkpoint
from tests.disks import limited_to

KB = 1024
Write = Callable[[Path], object]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        # What may not mount has the same write fail in the same place, for another reason.
        with limited_to(48 * KB):
            yield folder
        return
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def bytes_of(new: Path) -> None:
    new.write_bytes(os.urandom(200 * KB))


def folder_of(new: Path) -> None:
    new.mkdir()
    (new / "small").write_text("small")
    (new / "large").write_bytes(os.urandom(200 * KB))


def table_of(new: Path) -> None:
    write_parquet(pa.table({"noise": [os.urandom(100) for _ in range(2000)]}), new)


@pytest.mark.parametrize("write", [bytes_of, folder_of, table_of])
def test_on_a_full_disk_what_was_there_stays_and_nothing_else(full: Path, write: Write) -> None:
    path = full / "thing"
    path.write_text("old")
    with pytest.raises(RunError, match=r"/thing: cannot be written \((No space|File too)") as no:
        replace(path, write)
    assert "\n" not in str(no.value)
    assert path.read_text() == "old"
    assert names(full) == ["thing"]


def test_on_a_full_disk_the_last_checkpoint_stays(full: Path, shape: Shape) -> None:
    path = full / "pack-00000.pt"
    spec = pack(shape, Path("tokens"), members(hyperparameters()))
    Checkpoint(spec, 1, [0], {"w": torch.zeros(8)}, [], [], {}, {}, {}, torch.empty(0, 1)).save(
        path
    )
    with pytest.raises(RunError, match=r"pack-00000\.pt: cannot be written"):
        Checkpoint(
            spec, 2, [0], {"w": torch.rand(100_000)}, [], [], {}, {}, {}, torch.empty(0, 1)
        ).save(path)
    kept = Checkpoint.load(path)
    assert kept is not None
    assert kept.steps == 1
    assert names(full) == ["pack-00000.pt"]


def file_with(text: str) -> Write:
    return lambda new: new.write_text(text)


def folder_with(text: str) -> Write:
    def write(new: Path) -> None:
        new.mkdir()
        (new / "file").write_text(text)

    return write


@pytest.mark.parametrize("kind", [file_with, folder_with])
def test_what_another_process_wrote_first_is_kept(
    tmp_path: Path, kind: Callable[[str], Write]
) -> None:
    path, theirs = tmp_path / "cache" / "0123", tmp_path / "theirs"
    kind("theirs")(theirs)

    def overtaken(new: Path) -> None:
        write_once(path, kind("theirs"))
        kind("ours")(new)

    write_once(path, overtaken)
    write_once(path, kind("late"))
    assert texts(path) == texts(theirs)
    assert [there.name for there in path.parent.iterdir()] == ["0123"]


def texts(path: Path) -> list[str]:
    return [file.read_text() for file in (path.iterdir() if path.is_dir() else (path,))]


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    for name, age in ((".writing-old", 2 * LEFT_SECONDS), (".writing-new", 60.0)):
        folder_with("half")(tmp_path / name)
        os.utime(tmp_path / name, (0, time.time() - age))
    write_once(tmp_path / "whole", file_with("ours"))
    assert sorted(there.name for there in tmp_path.iterdir()) == [".writing-new", "whole"]


def test_a_folder_that_cannot_be_written_once_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(RunError, match=r"cache/0123: cannot be written \("):
        write_once(tmp_path / "cache" / "0123", folder_with("ours"))


@pytest.mark.parametrize("write", [bytes_of, folder_of])
def test_a_failure_of_another_kind_leaves_nothing_either(tmp_path: Path, write: Write) -> None:
    def interrupted(new: Path) -> None:
        write(new)
        raise KeyboardInterrupt

    (tmp_path / "thing").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        replace(tmp_path / "thing", interrupted)
    assert names(tmp_path) == ["thing"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file")
    with pytest.raises(RunError, match=r"notes/thing: cannot be written \(.*(exists|directory)\)"):
        replace(tmp_path / "notes" / "thing", bytes_of)


def test_contents_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[str] = []
    rename = os.replace
    monkeypatch.setattr(os, "fsync", lambda _: acts.append("contents"))

    def named(new: Path, path: Path) -> None:
        acts.append("name")
        rename(new, path)

    monkeypatch.setattr(os, "replace", named)
    replace(tmp_path / "file", bytes_of)
    replace(tmp_path / "folder", folder_of)
    assert acts == ["contents", "name", "contents", "contents", "name"]
