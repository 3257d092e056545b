"""One round: a study under a plan of faults, whose driver is started again till it is through."""

import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.commands import COMMAND, ENVIRONMENT
from tests.faults.plan import GROWER, Fault
from tests.faults.stage import Growth, Stage
from tests.faults.study import CORPUS, write_study

STARTS, SECONDS = 20, 400.0
"""After so many starts of the driver, or so long on a loaded machine, a round is given up."""
PAUSE_SECONDS = 1.0
"""Before a driver that failed is started again."""
POLL_SECONDS = 0.2


@dataclass
class Course:
    """What happened in a round."""

    kills: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    """Kills, starts and ends of drivers, with seconds since the round began."""
    missed: list[Fault] = field(default_factory=list)
    """Faults that came too late: the study was through."""
    starts: int = 0
    given_up: str | None = None
    """What a round that did not come to its end last said."""


class Round:
    """One study under a plan of faults."""

    def __init__(self, stage: Stage, folder: Path, name: str) -> None:
        self._stage, self._folder, self._name = stage, folder, name
        self._file = write_study(folder, name, folder.parent / CORPUS, "ray", stage.changes)
        self.home = folder / "home"
        self.course = Course()
        self._defined, self._finished, self._since = False, 0, time.monotonic()
        self._over = False
        self._growth = list(stage.growth)
        """What is still to be done once the study is through."""
        self._growing: Growth | None = None
        """What was begun last."""
        self._grows = False
        """Whether the driver makes the study grow, and does not run it."""

    def play(self, plan: list[Fault]) -> Course:
        """Runs the study to its end, whatever the faults do to it."""
        self._began = time.monotonic()
        self._start()
        waiting = [fault for fault in plan if fault.kind != GROWER]
        growers = [fault for fault in plan if fault.kind == GROWER]
        while not self._over:
            self._watch()
            if self._grows and growers and self._strikes(growers[0]):
                self._note("grower killed")
                self.course.kills[growers.pop(0).kind] += 1
            if waiting and self._is_due(waiting[0]) and self._strikes(waiting[0]):
                self._note(f"{waiting[0].kind} killed")
                self.course.kills[waiting.pop(0).kind] += 1
        self.course.missed = waiting + growers
        self._stage.repair()
        if self.course.given_up is None and "proxytune study sync" in self._said():
            self._run("sync", self._name).wait(timeout=60)
        return self.course

    def outputs(self) -> list[Path]:
        """What the drivers wrote."""
        return sorted([*self._folder.glob("driver-*.out"), *self._folder.glob("driver-*.err")])

    def _watch(self) -> None:
        """Sees how the driver and the study do; starts the driver again if it has ended."""
        time.sleep(POLL_SECONDS)
        self._stage.tend()
        self._see_progress()
        if (code := self._driver.poll()) is not None:
            self._note(f"driver ended with {code}")
        gone_on_too_long = time.monotonic() - self._began > SECONDS
        if code == 0 and not (self._grows or self._growth):
            self._over = True
        elif code == 0:
            if not self._grows:
                self._growing = self._growth.pop(0)
            self._start()
        elif self.course.starts >= STARTS or gone_on_too_long:
            self._driver.kill()
            self._driver.wait()
            self.course.given_up = f"exit {code}: {self._said()[-2000:]}"
            self._over = True
        elif code is not None:
            if code > 0:
                time.sleep(PAUSE_SECONDS)
            self._start()

    def _is_due(self, fault: Fault) -> bool:
        waited = time.monotonic() - self._since
        return self._finished > fault.after or (
            self._finished == fault.after and waited >= fault.wait
        )

    def _strikes(self, fault: Fault) -> bool:
        return not self._over and self._stage.strike(fault, self._driver)

    def _see_progress(self) -> None:
        try:
            self._defined, finished = self._stage.progress(self.home, self._name)
        except LookupError:
            return
        if finished > self._finished:
            self._finished, self._since = finished, time.monotonic()

    def _start(self) -> None:
        command: tuple[str, ...] = ("run", self._name)
        self._grows = self._growing is not None and not self._has_grown(self._growing)
        if not self._defined:
            command = ("create", str(self._file))
        elif self._growing is not None and self._grows:
            verb, *options = self._growing.words
            command = (verb, self._name, *options)
        self._note(f"study {command[0]} started")
        address = () if self._grows else self._stage.address
        self._driver = self._run(*command, *address)

    def _has_grown(self, growth: Growth) -> bool:
        """As its owner would see in `study show`: a killed command may have done its work."""
        return self._stage.asked(self.home, self._name) >= growth.trials

    def _run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        self._log = self._folder / f"driver-{self.course.starts:02d}"
        self.course.starts += 1
        # What a driver leaves behind that was killed goes with the round's folder.
        own = {"TMPDIR": str(self._folder), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        where = ("--home", str(self.home), *self._stage.where)
        with (
            self._log.with_suffix(".out").open("wb") as out,
            self._log.with_suffix(".err").open("wb") as err,
        ):
            return subprocess.Popen(
                [*COMMAND, "study", *arguments, *where],
                env={**ENVIRONMENT, **own, **self._stage.environment},
                stdout=out,
                stderr=err,
            )

    def _note(self, event: str) -> None:
        seconds = time.monotonic() - self._began
        self.course.events.append(f"{seconds:.1f} s, {self._finished} finished: {event}")

    def _said(self) -> str:
        return self._log.with_suffix(".err").read_text(errors="replace")
