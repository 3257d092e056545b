"""Disks that are full or read-only: a clear message, nothing half-written, and on it goes."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, ENVIRONMENT, TINY, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# A mount of this process alone, which is gone with it.
ALONE = ("unshare", "--mount", "--map-root-user", "sh", "-ec")
MAY_MOUNT = (
    subprocess.run([*ALONE, "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode == 0
)
needs_mount = pytest.mark.skipif(not MAY_MOUNT, reason="mounting is not allowed here")


def script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Runs shell lines in which `proxytune` is the command, with its home on a disk of its own."""
    define = f'proxytune() {{ {shlex.join(COMMAND)} "$@" --home home/h; }}\nmkdir home\n'
    return subprocess.run(
        [*ALONE, define + text], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )


@needs_mount
def test_a_full_disk_is_told_and_the_study_goes_on_when_there_is_room(
    study_file: Path,
) -> None:
    done = script(
        study_file.parent,
        """
        mount -t tmpfs -o size=20m tmpfs home
        proxytune study create tiny.yaml --no-run >&2
        # Room for what a study begins with, and for no checkpoint.
        dd if=/dev/zero of=home/filler bs=1k status=none 2>/dev/null || true
        truncate -s -40k home/filler
        proxytune study run tiny && exit 9
        test "$(find home/h/packs -name '*.new')" = ""
        rm home/filler
        proxytune study run tiny --json > result.json
        """,
    )
    assert done.returncode == 0, done.stderr
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "cannot be written (No space left on device)" in message
    assert "Traceback" not in done.stderr
    result = (study_file.parent / "result.json").read_text()
    assert '"state": "complete"' in result
    assert '"state": "failed"' not in result


@needs_mount
def test_a_home_that_cannot_be_written_is_refused(study_file: Path) -> None:
    done = script(
        study_file.parent,
        """
        mount -t tmpfs tmpfs home
        proxytune study create tiny.yaml --no-run > created
        mount -o remount,ro home
        proxytune study run tiny && exit 9
        mount -o remount,rw home
        proxytune study show tiny > shown
        """,
    )
    assert done.returncode == 0, done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("Error: --home = 'home/h': ")
    assert line.endswith("cannot be written")


@needs_mount
def test_a_home_that_cannot_be_written_can_be_read(study_file: Path) -> None:
    done = script(
        study_file.parent,
        """
        mount -t tmpfs tmpfs home
        proxytune study create tiny.yaml --no-run > created
        mount -o remount,ro home
        proxytune study list > listed
        proxytune study show tiny > shown
        proxytune study export tiny --to trials.csv > exported
        proxytune study extend tiny --trials 1 && exit 9
        proxytune study create tiny.yaml && exit 9
        true
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "tiny" in (study_file.parent / "listed").read_text()
    assert (study_file.parent / "trials.csv").exists()
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 2
    assert all("cannot be written" in line for line in errors)
    assert "Traceback" not in done.stderr


@needs_mount
@pytest.mark.long
def test_evidence_on_a_full_disk_is_told_in_one_line(study_file: Path) -> None:
    write_yaml(
        study_file.parent / "evidence.yaml",
        {name: value for name, value in TINY.items() if name not in ("search", "selection")}
        | {"axis": "depth", "values": [1, 2], "seeds": 1, "parameterizations": ["sp"]}
        | {"grid": {"low": 0.01, "high": 0.04, "points": 3}},
    )
    done = script(
        study_file.parent,
        """
        mount -t tmpfs -o size=20m tmpfs home
        proxytune evidence run evidence.yaml > first
        rm -r home/h/evidence
        dd if=/dev/zero of=home/filler bs=1k status=none 2>/dev/null || true
        truncate -s -32k home/filler
        proxytune evidence run evidence.yaml 2> told && exit 9
        rm home/filler
        proxytune evidence run evidence.yaml > second
        """,
    )
    assert done.returncode == 0, done.stderr
    folder = study_file.parent
    told = (folder / "told").read_text()
    (error,) = [line for line in told.splitlines() if line.startswith("Error: ")]
    assert "No space left on device" in error
    assert "Traceback" not in told
    assert not [*(folder / "home").rglob("*.new")]
