"""The store kit over the real servers, and what only remote stores can suffer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.spi.store import Conflict, LockHeld, StoreDamaged, StoreError
from mlplan.spi.store_kit import CHECKS, HOLDER, OTHER, Connect, document, log
from mlplan_state import leases
from mlplan_state.postgres import PostgresStore
from mlplan_state.s3 import S3Store
from tests.world.remote_stores import STORES, connector, settings_of
from tools.services import Services


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kit(check: Callable[[Connect], None], kind: str, services: Services, tmp_path: Path) -> None:
    check(connector(kind, services, tmp_path))


@pytest.mark.parametrize("kind", STORES)
def test_two_workspaces_do_not_meet(kind: str, services: Services, tmp_path: Path) -> None:
    connect = connector(kind, services, tmp_path)
    connect().initialise(document(0))
    settings = settings_of(connect)
    other = S3Store(settings, tmp_path, "staging") if kind == "s3" else PostgresStore(settings, tmp_path, "staging")
    assert not other.exists()
    other.initialise(document(0, "staging"))
    assert connect().read_head().document == document(0)
    lock = other.lock(HOLDER, 0)
    connect().lock(OTHER, 0).release()
    lock.release()


@pytest.mark.parametrize("kind", STORES)
def test_a_lock_without_a_beat_is_given_up(kind: str, services: Services, tmp_path: Path) -> None:
    """A holder that is stopped longer than the limit loses the lock, notices it, and writes nothing more."""
    connect = connector(kind, services, tmp_path, stale_after=1.0)
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    lock._stop.set()  # as if the process were stopped: nothing beats any more
    store.append(0, b"before", lock)
    with pytest.raises(LockHeld):
        connect().lock(OTHER, 0)
    began = time.monotonic()
    taken = connect().lock(OTHER, 60)
    assert time.monotonic() - began >= 1.0
    with pytest.raises(Conflict):
        store.append(0, b"after", lock)
    lock.release()
    assert connect().holder() == OTHER
    assert log(connect(), 0) == [b"before"]
    taken.release()


@pytest.mark.parametrize("kind", STORES)
def test_a_beating_lock_is_not_given_up(kind: str, services: Services, tmp_path: Path) -> None:
    connect = connector(kind, services, tmp_path, stale_after=3.0)
    connect().initialise(document(0))
    lock = connect().lock(HOLDER, 0)
    with pytest.raises(LockHeld):
        connect().lock(OTHER, 4.5)
    lock.verify()
    lock.release()
    assert connect().holder() is None


@pytest.mark.parametrize("kind", STORES)
def test_a_dead_holder_on_this_machine_is_given_up_at_once(
    kind: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = connector(kind, services, tmp_path)
    connect().initialise(document(0))
    store = connect()
    machine = leases.origin().partition("|")[0]
    with monkeypatch.context() as patched:
        patched.setattr(leases, "origin", lambda: f"{machine}|4194300|1")  # no process has this number
        lock = store.lock(HOLDER, 0)
    taken = connect().lock(OTHER, 0)
    with pytest.raises(Conflict):
        store.append(0, b"late", lock)
    taken.release()
    lock.release()


@pytest.mark.parametrize("kind", STORES)
def test_appenders_at_once_lose_nothing(kind: str, services: Services, tmp_path: Path) -> None:
    """Threads of one holder: every acknowledged line is there once."""
    connect = connector(kind, services, tmp_path)
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)

    def work(name: int) -> None:
        for number in range(5):
            store.append(0, b"%d-%d" % (name, number), lock)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = log(connect(), 0)
    assert sorted(lines) == sorted(b"%d-%d" % (name, number) for name in range(4) for number in range(5))
    for name in range(4):
        mine = [line for line in lines if line.startswith(b"%d-" % name)]
        assert mine == sorted(mine)
    lock.release()


@pytest.mark.parametrize("kind", STORES)
def test_wrong_keys_are_told(kind: str, services: Services, tmp_path: Path) -> None:
    wrong = (
        {"secret_key": "wrong"}
        if kind == "s3"
        else {"conn_str": services.facts["postgres"].replace("mlplan:", "mlplan:x")}
    )
    with pytest.raises(StoreError, match="refuses the credentials"):
        connector(kind, services, tmp_path, **wrong)().exists()


@pytest.mark.parametrize("kind", STORES)
def test_a_server_that_is_down_is_told_and_back_again_is_used(kind: str, services: Services, tmp_path: Path) -> None:
    """The connection is cut in the middle of a run; the same run goes on when the server comes back in time."""
    connect = connector(kind, services, tmp_path)
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    name = "seaweedfs" if kind == "s3" else "postgres"
    services.tell("stop", name)
    back = threading.Thread(target=services.tell, args=("start", name))
    try:
        if kind == "postgres":
            back.start()
            store.append(0, b"two", lock)
        else:
            with pytest.raises(StoreError, match="does not answer"):
                store.append(0, b"two", lock)
            with pytest.raises(StoreError, match="An earlier write failed"):
                store.append(0, b"three", lock)
            back.start()
    finally:
        back.join()
    lock.release()
    lines = log(connect(), 0)
    assert lines == ([b"one", b"two"] if kind == "postgres" else [b"one"])
    after = connect().lock(OTHER, 30)
    after.release()


def test_postgres_notices_altered_rows(services: Services, tmp_path: Path) -> None:
    import psycopg

    connect = connector("postgres", services, tmp_path)
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    for line in (b"one", b"two", b"three"):
        store.append(0, line, lock)
    schema = settings_of(connect)["schema_name"]
    with psycopg.connect(services.facts["postgres"], autocommit=True) as connection:
        connection.execute(f'UPDATE "{schema}".log SET lines = %s WHERE number = 2', (b"2",))
        with pytest.raises(StoreDamaged, match="altered"):
            log(connect(), 0)
        connection.execute(f'DELETE FROM "{schema}".log WHERE number = 3')
        with pytest.raises(StoreDamaged, match="3 appends were made, 2 are there"):
            log(connect(), 0)
        connection.execute(f'DELETE FROM "{schema}".states')
        with pytest.raises(StoreDamaged, match="head is gone"):
            connect().read_head()
        connection.execute(f'UPDATE "{schema}".history SET document = %s', (b"",))
        with pytest.raises(StoreDamaged, match="not what was kept"):
            connect().read_history(connect().history()[0][1])
    with pytest.raises(Conflict):
        store.append(0, b"four", lock)
    lock.release()
