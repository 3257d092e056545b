"""A command that runs under its supervisor, seen from the worker."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxytune.errors import PackLost, RunError
from proxytune.trainers import supervisor

STOP_SECONDS = 1.0
"""Between looks at a command that is ending."""
TAIL_LINES, TAIL_BYTES = 20, 16 * 1024
"""What a failure quotes of the command's stderr, at most."""


class Process:
    """One attempt of a command. It ends with this object, and with the worker, if not before."""

    def __init__(
        self,
        command: Sequence[str],
        folder: str,
        run: Path,
        env: Mapping[str, str],
        grace_seconds: float,
    ) -> None:
        """Starts it; `grace_seconds` is how long it has to end when it is told to."""
        self._log = run / "stderr.log"
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        job = {
            "command": list(command),
            "folder": folder,
            "run": str(run),
            "grace": grace_seconds,
        }
        with self._log.open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(env),
                start_new_session=True,
            )
        # It has a child of its own run the job.
        self._supervisor.wait()
        self._answer = b""

    def exit_code(self, seconds: float) -> int | None:
        """The command's exit code, negative for a signal; None if it runs on after so long.

        Raises RunError if the command cannot be started, and PackLost if its supervisor is gone.
        """
        assert self._supervisor.stdout is not None
        out = self._supervisor.stdout.fileno()
        while not self._answer.endswith(b"\n"):
            if not select.select([out], [], [], seconds)[0]:
                return None
            part = os.read(out, 4096)
            if not part:
                raise PackLost("the trainer was killed along with its supervisor")
            self._answer += part
        answer = json.loads(self._answer)
        if "cannot_start" in answer:
            raise RunError(answer["cannot_start"])
        code: int = answer["exit"]
        return code

    def stop(self) -> None:
        """Ends the command, if it has not ended, and waits until it has."""
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()
        while self.exit_code(STOP_SECONDS) is None:
            pass
        self.close()

    def close(self) -> None:
        """Frees the pipes to a supervisor that has ended."""
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            assert pipe is not None
            pipe.close()

    def last_words(self) -> str:
        """The last lines that this attempt wrote to stderr."""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(line[:500] for line in text.strip().splitlines()[-TAIL_LINES:])
