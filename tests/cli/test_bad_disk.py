"""Disks that are full or read-only: a clear message, nothing half-written, and on it goes."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.commands import COMMAND, ENVIRONMENT

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
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: --home = 'home/h': ")
    assert line.endswith("cannot be written")
