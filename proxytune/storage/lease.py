"""One driver per study: a lease that is stored with the study and renewed while it is held.

Drivers may be on different machines, so the lease is where all of them look: a user attribute of
the study in Optuna's storage. It only changes by an exchange for the value that was read.
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
"""User attribute of a study: its driver; empty if there is none."""
BEAT_SECONDS = 15.0
"""Seconds between renewals; each adds a line to the journal."""
STALE_SECONDS = 60.0
"""After this long without a renewal, another driver may take the lease."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The driver that holds a lease."""

    token: str
    """Unique to this run."""
    host: str
    pid: int
    place: str
    """Where `pid` is valid: this boot of the machine, and the container."""
    started: int
    """Start time of the process, in ticks of that machine, since process ids are reused."""
    beat: float
    """Time of the last renewal, Unix time."""

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
        """The holder that `text` wrote; None if nobody holds the lease."""
        return cls(**json.loads(text)) if text else None

    def text(self) -> str:
        """The holder as it is stored."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @property
    def silence(self) -> float:
        """Seconds since the last renewal."""
        return time.time() - self.beat

    @property
    def gone(self) -> bool:
        """Whether it has certainly ended; that can only be known on the same machine."""
        return self.place == _place() and _start_of(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """The right to run and change a study; a context manager.

    Entering raises an InputError that names the holder, if there is one. A holder that has ended
    on this machine is replaced at once, any other after `stale` seconds without a renewal.
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
        """Whether another driver has taken it."""

    def __enter__(self) -> Self:
        self._take()
        Thread(target=self._keep, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        # A lease that cannot be given back expires; and the study may have been deleted.
        with self._beating, suppress(Exception):
            exchange(self._storage, self._study_id, LEASE, self._mine.text(), "")

    def require(self) -> None:
        """Call before writing anything. Raises RunError if another driver has the lease."""
        if self._mine.silence > self._stale / 2:
            # This process was paused or its storage unreachable, long enough for a takeover.
            self._beat()
        if self.lost:
            raise RunError(
                f"study {self._study!r}: {self._holder() or 'another process'} has taken it over "
                f"from this one, which was silent for {self._stale:.0f} s; nothing more is written"
            )

    def guard(self, source: PackSource) -> PackSource:
        """The same source, but it raises RunError once the lease is lost."""
        return _Guarded(source, self)

    def _take(self) -> None:
        while True:
            seen = self._kept()
            holder = Holder.read(seen)
            if holder and not holder.gone and not self._is_stale(holder, seen):
                raise InputError(
                    f"study {self._study!r} is being run by {holder}, last heard from "
                    f"{max(0.0, holder.silence):.0f} s ago; wait for it, or stop it"
                )
            self._mine = replace(self._mine, beat=time.time())
            if exchange(self._storage, self._study_id, LEASE, seen, self._mine.text()):
                return

    def _is_stale(self, holder: Holder, seen: str | None) -> bool:
        # The two clocks may differ, so watch: a live holder renews in this time. Where its clock
        # is ahead of ours, watching alone can tell.
        if 0 <= holder.silence <= self._stale:
            return False
        seconds = 1.5 * self._seconds
        until = time.monotonic() + (max(seconds, self._stale) if holder.silence < 0 else seconds)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self._seconds / 2))
            if self._kept() != seen:
                return False
        return True

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds) and not self.lost:
            # A short outage of the storage is harmless; `require` reports a long one.
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
            raise InputError.of_field("study", self._study, "was just deleted") from None
        return kept


class _Guarded:
    """A PackSource that checks the lease before every call."""

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
    """Start time of a process, in ticks since the machine booted; None if it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is a name in brackets that may hold any character.
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
