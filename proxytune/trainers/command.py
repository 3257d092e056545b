"""Trains packs of one by a user's own command: settings in as a file, losses out as lines."""

import errno
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from proxytune.config.trainer import TrainerSpec
from proxytune.errors import InputError, Interrupted, PackLost, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.trainers.groups import require_projected
from proxytune.trainers.process import Process
from proxytune.trainers.results import details, evaluation
from proxytune.trainers.run import RunFolder, forget_run
from proxytune.trainers.settings import trainer_settings

AGAIN = 75
"""The exit code that asks for another attempt: EX_TEMPFAIL of <sysexits.h>."""
KILLED = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that come from outside: the attempt was lost, and the trainer has not failed."""
LOOK_SECONDS = 0.05
"""Between looks at the metrics."""
DISK_BYTES = 64 * 1024
"""A disk with less room is full."""


class TrainerFailed(Exception):
    """The command did not do what the contract asks for."""


@dataclass(frozen=True, slots=True)
class CommandTrainer:
    """How the packs of an experiment train by its command."""

    study: str
    """The experiment's name."""
    trainer: TrainerSpec
    """The command."""
    data: Mapping[str, JsonValue]
    """The data block as given."""
    gpus: float | None
    """GPUs of a pack; None: those that the worker sees."""
    runs: Path
    """Holds a folder per run."""
    grace_seconds: float = 30.0
    """Between SIGTERM and SIGKILL, for a command that is to end."""

    def start(self, pack: PackSpec) -> "CommandRunner":
        """Starts a pack, or resumes it."""
        return CommandRunner(self, pack)


class CommandRunner:
    """A pack of one that trains in a process of its own (a PackRunner)."""

    def __init__(self, trainer: CommandTrainer, pack: PackSpec) -> None:
        (self._member,) = pack.members
        self._trainer, self._pack = trainer, pack
        settings = trainer_settings(pack, trainer.study, trainer.data)
        self._run = RunFolder(trainer.runs / pack.name, settings)
        seconds = self._run.state.seconds
        self._step, self._spent = max(seconds, default=0), max(seconds.values(), default=0.0)
        self._repeated = [
            evaluation(pack, self._run.metrics, step, seconds[step]) for step in sorted(seconds)
        ]
        """Told by a runner before this one, and to be told again."""
        self._ended = any(repeated.diverged for repeated in self._repeated)
        self._process: Process | None = None
        self._verified = False
        """Whether its groups.json was compared with the projection."""

    @property
    def done(self) -> bool:
        """Whether the run has ended: trained to its end, diverged, or dropped."""
        return self._ended or self._run.state.complete

    def advance(self) -> Sequence[Evaluation]:
        """Waits for the next evaluation; see PackRunner."""
        news, self._repeated = self._repeated, []
        if self.done:
            return news
        try:
            return [*news, self._next_evaluation()]
        except (TrainerFailed, InputError) as error:
            forget_run(self._run.path)
            self._stop()
            raise TrainerFailed(str(error)) from None
        except BaseException:
            self._stop()
            raise

    def drop(self, numbers: Collection[int]) -> None:
        """Stops the command, and waits until it has ended."""
        if self._member.number in numbers:
            self._ended = True
            self._stop()

    def details(self) -> Sequence[MemberDetails]:
        """Losses of all steps and the last updates, if the command reported them."""
        if not self._pack.details:
            return ()
        return [details(self._pack, self._run.metrics, self._step)]

    def _next_evaluation(self) -> Evaluation:
        process = self._process or self._start()
        step = self._wait_for_report(process)
        seconds = self._spent + time.monotonic() - self._began
        news = evaluation(self._pack, self._run.metrics, step, seconds)
        last = step == self._pack.training.steps
        groups = self._run.path / "groups.json"
        if not self._verified and groups.exists():
            require_projected(groups, self._pack)
            self._verified = True
        if news.diverged:
            self.drop([self._member.number])
        elif last:
            self._wait_for_end(process)
        self._run.keep_evaluation(step, seconds, complete=last)
        self._step = step
        return news

    def _start(self) -> Process:
        spec, run = self._trainer.trainer, self._run
        run.start_attempt()
        files = {"settings": run.settings, "metrics": run.metrics.path, "run": run.path}
        values = files | {
            "gpus": self._gpus(),
            "seed": self._member.seed,
            "python": sys.executable,
        }
        env = {
            "OMP_NUM_THREADS": str(self._pack.threads),
            **os.environ,
            **spec.env,
            **{f"PROXYTUNE_{name.upper()}": str(path) for name, path in files.items()},
        }
        try:
            self._process = Process(
                spec.arguments(values), spec.folder, run.path, env, self._trainer.grace_seconds
            )
        except OSError as error:
            raise RunError(f"{run.path}: the trainer cannot start ({error.strerror})") from None
        self._began = self._heard = time.monotonic()
        return self._process

    def _wait_for_report(self, process: Process) -> int:
        """The step of the next evaluation, or of a loss that is not finite before it."""
        while True:
            code = process.exit_code(LOOK_SECONDS)
            self._listen(ended=code is not None)
            step = self._reported()
            if step is not None:
                return step
            if code is not None:
                raise self._failure(code, process)

    def _wait_for_end(self, process: Process) -> None:
        """Returns when the command has ended well, after its last evaluation."""
        while (code := process.exit_code(LOOK_SECONDS)) is None:
            self._listen(ended=False)
        self._listen(ended=True)
        if code:
            raise self._failure(code, process)
        process.close()

    def _listen(self, *, ended: bool) -> None:
        """Reads what is new.

        Raises PackLost if there was nothing for too long, and Interrupted at the time limit.
        """
        limit, deadline = self._trainer.trainer.stall_seconds, self._pack.job.deadline
        if deadline is not None and not ended and time.time() >= deadline:
            raise Interrupted(f"{self._pack.name}: the time limit came after step {self._step}")
        if self._run.metrics.read(ended=ended):
            self._heard = time.monotonic()
        elif not ended and time.monotonic() - self._heard > limit:
            raise PackLost(f"the trainer wrote no line of metrics for {limit:g} s")

    def _reported(self) -> int | None:
        wanted = next(s for s in self._pack.training.evaluation_steps() if s > self._step)
        steps = self._run.metrics.steps
        bad = [s for s, metrics in steps.items() if self._step < s <= wanted and metrics.diverged]
        if bad:
            return min(bad)
        evaluated = [s for s, metrics in steps.items() if metrics.validation_loss is not None]
        if wanted in evaluated:
            return wanted
        if max(evaluated, default=0) > wanted:
            raise TrainerFailed(
                f"reported a validation_loss of step {max(evaluated)}, but none of step {wanted}; "
                "training.evaluation_steps in settings.json says when to evaluate"
            )
        return None

    def _failure(self, code: int, process: Process) -> Exception:
        """What the end of a command that has not ended well amounts to."""
        number = -code if code < 0 else code - 128
        if code == AGAIN:
            return PackLost(f"the trainer asked for another attempt (exit code {AGAIN})")
        if number in KILLED:
            return PackLost(f"the trainer was killed ({signal.Signals(number).name})")
        if shutil.disk_usage(self._run.path).free < DISK_BYTES:
            return RunError(f"{self._run.path}: {os.strerror(errno.ENOSPC)}")
        if code == 0:
            done = f"the last was of step {self._step}" if self._step else "there was none"
            text = f"exit code 0 before the last evaluation; {done}"
        else:
            text = f"ended by {signal.Signals(number).name}" if code < 0 else f"exit code {code}"
        words = process.last_words()
        return TrainerFailed(f"{text}; the end of its stderr:\n{words}" if words else text)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def _gpus(self) -> int:
        """GPUs of the run: as many as were asked for, or else as the worker sees."""
        job = self._pack.job
        asked = self._trainer.gpus if job.gpus is None else job.gpus
        if asked is not None:
            return math.ceil(job.workers * asked)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return len([device for device in seen.split(",") if device.strip()])
