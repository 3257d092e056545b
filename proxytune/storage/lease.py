"""One driver a study: a lease that is kept with the study, and renewed while it is held.

Who runs a study may be on another machine than who asks for it, so the lease is where both look: a
user attribute of the study in Optuna's storage. It is only ever exchanged for what was read.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

from optuna.storages import BaseStorage

from proxytune.errors import InputError, RunError
from proxytune.packs.pack import Evaluation, MemberDetails, PackSpec
from proxytune.packs.ports import PackSource
from proxytune.storage.open import exchange

LEASE = "proxytune.lease"
"""User attribute of a study: who runs it; empty if nobody does."""
BEAT_SECONDS = 15.0
"""From one renewal to the next; each is a line of the journal."""
STALE_SECONDS = 60.0
"""After this long without a renewal, another may take it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who runs a study."""

    token: str
    """Of this run alone."""
    host: str
    pid: int
    place: str
    """Where `pid` means something: the machine, since it was started, and its container."""
    started: int
    """When the process began, in ticks of that machine: another may get its number."""
    beat: float
    """When it was last heard of, Unix time."""

    @classmethod
    def here(cls) -> Self:
        """This process, now."""
        pid = os.getpid()
        return cls(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=pid,
            place=_place(),
            started=_start_of(pid) or 0,
            beat=time.time(),
        )

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """What `text` wrote; None for a lease that nobody holds."""
        return cls(**json.loads(text)) if text else None

    def text(self) -> str:
        """What is stored."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @property
    def silence(self) -> float:
        """Seconds since it was heard of."""
        return time.time() - self.beat

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended; what runs elsewhere never is."""
        return self.place == _place() and _start_of(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """The right to run a study, and to change it; used as a context manager.

    Entering raises InputError that names who has it. A holder that has ended on this machine
    is replaced at once, another one when it is silent for `stale` seconds.
    """

    def __init__(
        self,
        storage: BaseStorage,
        study: str,
        beat: float = BEAT_SECONDS,
        stale: float = STALE_SECONDS,
    ) -> None:
        self._storage, self._study = storage, study
        self._study_id = storage.get_study_id_from_name(study)
        self._seconds, self._stale = beat, stale
        self._beating, self._ended = Lock(), Event()
        self._mine = Holder.here()
        self.lost = False
        """Whether another has taken it."""

    def __enter__(self) -> Self:
        self._take()
        Thread(target=self._keep, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        # What cannot be given back becomes stale; and the study may just have been deleted.
        with self._beating, suppress(Exception):
            exchange(self._storage, self._study_id, LEASE, self._mine.text(), "")

    def require(self) -> None:
        """To be called before anything is written. Raises RunError if another has the lease."""
        if self._mine.silence > self._stale / 2:
            # This process was paused, or its storage was away: time for another to have come.
            self._beat()
        if self.lost:
            raise RunError(
                f"study {self._study!r}: {self._holder() or 'another process'} has taken it over "
                f"from this one, which was silent for {self._stale:.0f} s; nothing more is written"
            )

    def guard(self, source: PackSource) -> PackSource:
        """The source, which from now on writes only while the lease is held."""
        return _Guarded(source, self)

    def _take(self) -> None:
        while True:
            seen = self._kept()
            holder = Holder.read(seen)
            if holder and not holder.gone and not self._is_stale(holder, seen):
                raise InputError(
                    f"study {self._study!r} is being run by {holder}, heard of "
                    f"{max(0.0, holder.silence):.0f} s ago; wait for it, or stop it"
                )
            self._mine = replace(self._mine, beat=time.time())
            if exchange(self._storage, self._study_id, LEASE, seen, self._mine.text()):
                return

    def _is_stale(self, holder: Holder, seen: str | None) -> bool:
        if holder.silence <= self._stale:
            return False
        # By its clock and ours, which may differ: a holder that lives is heard of by then.
        time.sleep(1.5 * self._seconds)
        return self._kept() == seen

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds) and not self.lost:
            # A storage that is away for a moment is no loss; for longer, `require` tells of it.
            with suppress(Exception):
                self._beat()

    def _beat(self) -> None:
        with self._beating:
            while not (self._ended.is_set() or self.lost):
                seen = self._kept()
                holder = Holder.read(seen)
                self.lost = holder is None or holder.token != self._mine.token
                renewed = replace(self._mine, beat=time.time())
                if not self.lost and exchange(
                    self._storage, self._study_id, LEASE, seen, renewed.text()
                ):
                    self._mine = renewed
                    return

    def _holder(self) -> Holder | None:
        return Holder.read(self._kept())

    def _kept(self) -> str | None:
        try:
            kept: str | None = self._storage.get_study_user_attrs(self._study_id).get(LEASE)
        except KeyError:
            raise InputError.of_field("study", self._study, "was deleted just now") from None
        return kept


class _Guarded:
    """A PackSource whose every move asks the lease first."""

    def __init__(self, source: PackSource, lease: Lease) -> None:
        self._source, self._lease = source, lease

    def next_pack(self) -> PackSpec | None:
        self._lease.require()
        return self._source.next_pack()

    def report(self, pack: PackSpec, evaluations: Sequence[Evaluation]) -> frozenset[int]:
        self._lease.require()
        return self._source.report(pack, evaluations)

    def finish(self, pack: PackSpec, details: Sequence[MemberDetails]) -> None:
        self._lease.require()
        self._source.finish(pack, details)

    def fail(self, pack: PackSpec, reason: str) -> None:
        self._lease.require()
        self._source.fail(pack, reason)

    def too_large(self, pack: PackSpec) -> None:
        self._lease.require()
        self._source.too_large(pack)

    @property
    def exhausted(self) -> bool:
        return self._source.exhausted


@cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def _start_of(pid: int) -> int | None:
    """When a process of this machine began, in ticks since the machine did; None if it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is a name in brackets, and may hold anything.
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
