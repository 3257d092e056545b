"""One driver a study, wherever it runs: refused, taken over when it is gone, and never two."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Timer

import pytest
from optuna.storages import BaseStorage

from proxytune.errors import InputError, RunError
from proxytune.search.study import Study, delete_study
from proxytune.storage.lease import LEASE, Holder, Lease
from proxytune.storage.open import batch, exchange, open_storage
from tests.studies import next_pack, source_of, study_spec, told

HOLDER = """
import sys, time
from pathlib import Path
from proxytune.storage.lease import Lease
from proxytune.storage.open import open_storage

with Lease(open_storage(Path(sys.argv[1]), sys.argv[2] or None), "small", beat=0.1):
    print("held", flush=True)
    time.sleep(60)
"""


class Place:
    """A study's storage, opened anew as every process does."""

    def __init__(self, journal: Path, url: str | None) -> None:
        self.journal, self.url = journal, url
        Study.create(self.open(), study_spec())

    def open(self) -> BaseStorage:
        return open_storage(self.journal, self.url)

    def lease(self, beat: float = 0.1, stale: float = 60.0) -> Lease:
        return Lease(self.open(), "small", beat, stale)

    def holder(self) -> Holder | None:
        """Who has the lease, as it is stored."""
        storage = self.open()
        kept = storage.get_study_user_attrs(storage.get_study_id_from_name("small"))
        return Holder.read(kept.get(LEASE))

    def put(self, holder: Holder) -> None:
        """Stores a holder, whoever has it."""
        storage = self.open()
        study = storage.get_study_id_from_name("small")
        storage.set_study_user_attr(study, LEASE, holder.text())


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """In a journal, where a test does not say otherwise."""
    journal = tmp_path / "optuna.journal"
    where = getattr(request, "param", "journal")
    if where == "sqlite":
        return Place(journal, f"sqlite:///{tmp_path / 'optuna.db'}")
    if where == "postgres":
        return Place(journal, request.getfixturevalue("empty_database"))
    return Place(journal, None)


everywhere = pytest.mark.parametrize(
    "place",
    ["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)],
    indirect=True,
)


@pytest.fixture
def other(place: Place) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the study."""
    arguments = [sys.executable, "-c", HOLDER, place.journal, place.url or ""]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


def elsewhere(silent: float) -> Holder:
    """A holder on another machine, last heard of so many seconds ago."""
    return replace(Holder.here(), host="far", place="far away", beat=time.time() - silent)


@everywhere
def test_a_second_process_is_refused_and_told_of_the_first(
    place: Place, other: subprocess.Popen[str]
) -> None:
    says = rf"'small' is being run by process {other.pid} on {socket.gethostname()}, last heard"
    for _ in range(2):
        with pytest.raises(InputError, match=says), place.lease():
            pytest.fail("two drivers of one study")


def test_a_killed_process_is_replaced_at_once(place: Place, other: subprocess.Popen[str]) -> None:
    # Its parent has not asked for its end yet: it is a zombie.
    other.kill()
    assert os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    with place.lease(beat=60.0):
        held = place.holder()
        assert held is not None
        assert held.pid == os.getpid()


def test_the_number_of_a_process_that_was_given_again_keeps_no_study(place: Place) -> None:
    place.put(replace(Holder.here(), token="another", started=1))
    with place.lease(beat=60.0):
        pass


@everywhere
def test_a_lease_is_free_again_at_the_end_even_of_a_failure(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), place.lease():
        raise ZeroDivisionError
    assert place.holder() is None
    with place.lease():
        pass


def test_a_holder_elsewhere_keeps_it_while_it_is_heard_of(place: Place) -> None:
    place.put(elsewhere(silent=59))
    with (
        pytest.raises(InputError, match=r"on far, last heard from (59|60) s ago; wait for it"),
        place.lease(),
    ):
        pytest.fail("two drivers of one study")


def test_a_holder_elsewhere_that_is_silent_is_replaced(place: Place) -> None:
    place.put(elsewhere(silent=61))
    with place.lease():
        held = place.holder()
        assert held is not None
        assert held.host == socket.gethostname()


def test_a_holder_whose_clock_is_late_is_not_replaced(
    place: Place, other: subprocess.Popen[str]
) -> None:
    # By our clock, it is always silent; but it is heard of while we look.
    with pytest.raises(InputError, match="is being run by"), place.lease(beat=0.5, stale=0.0):
        pytest.fail("two drivers of one study")


def test_a_silent_holder_whose_clock_is_ahead_is_replaced(place: Place) -> None:
    place.put(elsewhere(silent=-3600))
    with place.lease(beat=0.05, stale=0.2):
        held = place.holder()
        assert held is not None
        assert held.host == socket.gethostname()


def test_a_holder_whose_clock_is_ahead_is_not_replaced_while_it_is_heard_of(place: Place) -> None:
    place.put(elsewhere(silent=-3600))
    renewing = Timer(0.1, lambda: place.put(elsewhere(silent=-3601)))
    renewing.start()
    try:
        with pytest.raises(InputError, match="on far"), place.lease(beat=0.2, stale=60.0):
            pytest.fail("two drivers of one study")
    finally:
        renewing.join()


@everywhere
def test_heartbeats_keep_it(place: Place) -> None:
    with place.lease(beat=0.05) as lease:
        first = place.holder()
        for _ in range(100):
            if (now := place.holder()) != first:
                break
            time.sleep(0.05)
        assert first is not None
        assert now is not None
        assert now.token == first.token
        assert now.beat > first.beat
        lease.require()


def test_a_driver_that_was_paused_too_long_writes_nothing_more(place: Place) -> None:
    source = source_of(place.open(), study_spec())
    with place.lease(beat=60.0, stale=60.0) as paused:
        guarded = paused.guard(source)
        pack = next_pack(guarded)
        # A minute later, another has come; nobody has told the first.
        paused._mine = replace(paused._mine, beat=paused._mine.beat - 31)
        place.put(elsewhere(silent=0))
        says = r"'small': process \d+ on far has taken it over .* nothing more is written"
        for act in (
            lambda: guarded.report(pack, told(pack, 4)),
            lambda: guarded.fail(pack, "lost"),
            lambda: guarded.too_large(pack),
            lambda: guarded.finish(pack, ()),
            guarded.next_pack,
        ):
            with pytest.raises(RunError, match=says):
                act()
        assert paused.lost
    after = Study(place.open(), "small").trials()
    assert [trial.state for trial in after] == ["running"] * 4
    held = place.holder()
    assert held is not None
    assert held.host == "far"


def test_a_driver_that_was_paused_goes_on_if_nobody_came(place: Place) -> None:
    with place.lease(beat=60.0) as lease:
        lease._mine = replace(lease._mine, beat=lease._mine.beat - 1000)
        lease.require()


def test_a_renewal_that_was_stored_but_not_confirmed_is_no_loss(place: Place) -> None:
    with place.lease(beat=60.0) as lease:
        place.put(replace(lease._mine, beat=lease._mine.beat + 1))
        lease._mine = replace(lease._mine, beat=lease._mine.beat - 31)
        lease.require()


def test_of_many_who_take_a_stale_lease_one_gets_it(place: Place) -> None:
    place.put(elsewhere(silent=1000))

    def take(lease: Lease) -> bool:
        try:
            lease.__enter__()
        except InputError:
            return False
        return True

    takers = [place.lease() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(take, takers)) == [False] * 5 + [True]
    for taker in takers:
        taker._ended.set()


@everywhere
def test_only_what_was_read_is_exchanged(place: Place) -> None:
    storage = place.open()
    study = storage.get_study_id_from_name("small")
    assert not exchange(storage, study, "key", "old", "new")
    assert exchange(storage, study, "key", None, "new")
    assert not exchange(storage, study, "key", None, "newer")
    assert not exchange(storage, study, "key", "old", "newer")
    assert exchange(storage, study, "key", "new", "newer")
    assert place.open().get_study_user_attrs(study)["key"] == "newer"


@everywhere
def test_of_many_who_exchange_the_same_one_does(place: Place) -> None:
    storages = [place.open() for _ in range(4)]
    study = storages[0].get_study_id_from_name("small")
    together = Barrier(4)
    old = None
    with ThreadPoolExecutor(4) as pool:
        for new in "abcdefgh":

            def offer(storage: BaseStorage, old: str | None = old, new: str = new) -> bool:
                together.wait()
                return exchange(storage, study, "key", old, new)

            assert sorted(pool.map(offer, storages)) == [False] * 3 + [True]
            old = new


def test_nobody_writes_a_journal_between_what_an_exchange_reads_and_writes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = place.open(), place.open()
    study, read = ours.get_study_id_from_name("small"), ours.get_study_user_attrs
    with ThreadPoolExecutor(1) as pool:
        offers = []

        def read_and_dawdle(of: int) -> dict[str, object]:
            found = read(of)
            offers.append(pool.submit(exchange, theirs, study, "key", None, "theirs"))
            time.sleep(0.3)
            return found

        monkeypatch.setattr(ours, "get_study_user_attrs", read_and_dawdle)
        assert exchange(ours, study, "key", None, "ours")
        assert not offers[0].result()
    assert place.open().get_study_user_attrs(study)["key"] == "ours"


@everywhere
def test_a_study_may_be_deleted_by_who_holds_it(place: Place) -> None:
    storage = place.open()
    with Lease(storage, "small"):
        delete_study(storage, "small")
    with pytest.raises(InputError, match="no such study"):
        Study(place.open(), "small")


def test_a_heartbeat_waits_for_a_batch_and_a_batch_for_it(place: Place) -> None:
    storage = place.open()
    study = storage.get_study_id_from_name("small")
    with Lease(storage, "small", beat=0.001) as lease:
        for value in range(50):
            with batch(storage):
                storage.set_study_user_attr(study, "one", value)
                storage.set_study_user_attr(study, "two", value)
        lease.require()
    kept = place.open().get_study_user_attrs(study)
    assert (kept["one"], kept["two"]) == (49, 49)
