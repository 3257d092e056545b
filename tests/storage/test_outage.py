"""PostgreSQL that goes away under a study: waited for, or told of in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread, Timer
from time import monotonic, sleep

import psycopg
import pytest
from optuna.storages import RDBStorage

from proxytune.errors import StorageLost
from proxytune.patience import Patience
from proxytune.search.study import Study, delete_study, study_names
from proxytune.storage.lease import LEASE, Holder, Lease
from proxytune.storage.open import exchange, open_storage
from tests.servers import Databases, Postgres
from tests.studies import study_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

Ask = Callable[[], object]


@pytest.fixture
def patience() -> float:
    """How long the server is waited for, in seconds."""
    return Patience().storage


@pytest.fixture
def storage(databases: Databases, tmp_path: Path, patience: float) -> RDBStorage:
    """An open one, which holds the study `away`."""
    storage = open_storage(tmp_path / "journal", databases.optuna, Patience(storage=patience))
    assert isinstance(storage, RDBStorage)
    if "away" in study_names(storage):
        delete_study(storage, "away")
    Study.create(storage, study_spec("away"))
    return storage


@pytest.fixture
def away(postgres: Postgres) -> Iterator[Callable[[float], Thread]]:
    """Kills the server for so many seconds."""
    timers = []

    def kill(seconds: float) -> Thread:
        postgres.stop("immediate")
        timers.append(Timer(seconds, postgres.start))
        timers[-1].start()
        return timers[-1]

    yield kill
    for timer in timers:
        timer.join()


def test_a_server_that_is_away_is_waited_for(
    storage: RDBStorage, away: Callable[[float], Thread]
) -> None:
    away(3)
    began = monotonic()
    assert "away" in study_names(storage)
    assert 2 < monotonic() - began < 20


@pytest.mark.parametrize("patience", [1])
def test_what_one_has_waited_for_in_vain_the_next_need_not(
    storage: RDBStorage, away: Callable[[float], Thread]
) -> None:
    back = away(4)
    began = monotonic()
    for _ in range(5):
        with pytest.raises(
            StorageLost, match=r"^the storage cannot be used \(OperationalError\)$"
        ):
            study_names(storage)
    assert 1 < monotonic() - began < 3
    back.join()
    assert "away" in study_names(storage)


def test_a_password_that_was_changed_is_not_waited_for(
    storage: RDBStorage, postgres: Postgres, databases: Databases
) -> None:
    began = monotonic()
    try:
        change_password(postgres, "other")
        storage.engine.dispose()
        with pytest.raises(StorageLost, match="cannot be used") as refused:
            study_names(storage)
        assert monotonic() - began < 5
        assert "s3cret" not in str(refused.value)
    finally:
        change_password(postgres, "s3cret-o")
    assert "away" in study_names(storage)


@pytest.mark.parametrize("ask", ["read", "write", "exchange"])
def test_a_connection_that_breaks_in_the_middle_is_a_lost_storage_and_then_mended(
    storage: RDBStorage, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    study = storage.get_study_id_from_name("away")
    calls: dict[str, Ask] = {
        "read": lambda: storage.get_all_trials(study),
        "write": lambda: storage.create_new_trial(study),
        "exchange": lambda: exchange(storage, study, "key", None, "new"),
    }
    with monkeypatch.context() as broken:
        commit = storage.engine.dialect.do_commit

        def break_off(connection: object) -> None:
            postgres.disconnect("optuna")
            commit(connection)

        broken.setattr(storage.engine.dialect, "do_commit", break_off)
        with pytest.raises(StorageLost) as lost:
            calls[ask]()
        assert "s3cret" not in str(lost.value)
    assert not storage.get_all_trials(study)
    calls[ask]()


def test_an_attribute_that_is_there_already_is_no_lost_storage(storage: RDBStorage) -> None:
    study = storage.get_study_id_from_name("away")
    assert exchange(storage, study, "key", None, "new")
    assert not exchange(storage, study, "key", None, "other")


@pytest.mark.parametrize("patience", [60, 1])
def test_a_lease_outlives_an_outage(storage: RDBStorage, away: Callable[[float], Thread]) -> None:
    with Lease(storage, "away", beat=0.2, stale=60) as lease:
        back = away(5)
        back.join()
        began = Holder.here().beat
        sleep(3)
        lease.require()
        study = storage.get_study_id_from_name("away")
        kept = Holder.read(storage.get_study_user_attrs(study)[LEASE])
        assert kept is not None
        assert kept.beat > began


def change_password(postgres: Postgres, password: str) -> None:
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(f"ALTER USER optuna PASSWORD '{password}'")
