"""An S3 that loses requests and answers, reads stale, refuses expired keys in the middle, or ignores conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlplan.spi.store import Conflict, StoreDamaged, StoreError
from mlplan.spi.store_kit import HOLDER, OTHER, document, log
from mlplan_state.s3 import S3Store
from mlplan_state.s3_client import connect
from tests.world.faulty_s3 import Wire, careless_server
from tests.world.remote_stores import s3_settings, shared_client
from tools.services import Services


class Site:
    """One state in the real server: stores with and without a bad wire."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.settings = s3_settings(services)
        self._folder = folder
        self._client = shared_client(services)
        self.sound().initialise(document(0))

    def sound(self) -> S3Store:
        return S3Store(self.settings, self._folder, "default", self._client)

    def faulty(self, fault: Callable[[str, str], str | None]) -> S3Store:
        client = connect(self.settings)
        self.wire = Wire(client, fault)
        return S3Store(self.settings, self._folder, "default", client)

    def bucket(self) -> Any:
        return self.sound()._bucket


@pytest.fixture
def site(services: Services, tmp_path: Path) -> Site:
    return Site(services, tmp_path)


@pytest.mark.parametrize("fault", ["lose-request", "lose-response", "500-after", "duplicate", "late"])
def test_a_line_that_fails_once_in_three(site: Site, fault: str) -> None:
    """Whatever is lost on the way, every write happens once."""
    count = 0

    def every_third(operation: str, key: str) -> str | None:
        nonlocal count
        count += operation == "PutObject"
        return fault if operation == "PutObject" and count % 3 == 1 else None

    store = site.faulty(every_third)
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    store.append(0, b"two", lock)
    head = store.swap_head(store.read_head(), document(1), 1, lock)
    store.append(1, b"three", lock)
    lock.release()
    assert count > 6
    assert site.sound().read_head() == head
    assert log(site.sound(), 1) == [b"three"]
    assert log(site.sound(), 0) == [b"one", b"two"]
    assert site.sound().holder() is None


def test_credentials_that_expire_in_the_middle(site: Site) -> None:
    expired = False
    store = site.faulty(lambda operation, key: "ExpiredToken" if expired else None)
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    expired = True
    with pytest.raises(StoreError, match="credentials have expired"):
        store.append(0, b"two", lock)
    expired = False
    with pytest.raises(StoreError, match="An earlier write failed"):
        store.append(0, b"three", lock)
    lock.release()
    assert log(site.sound(), 0) == [b"one"]


def test_reads_that_lag_behind(site: Site) -> None:
    """Whoever holds the lock reads everything, though the server first says that the newest objects are not there."""
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    for line in (b"one", b"two", b"three"):
        store.append(0, line, lock)
    lock.release()
    seen: set[str] = set()

    def lagging(operation: str, key: str) -> str | None:
        late = operation == "GetObject" and key.startswith("log/") and key not in seen
        seen.add(key)
        return "404" if late else None

    reader = site.faulty(lagging)
    taken = reader.lock(OTHER, 0)
    assert log(reader, 0) == [b"one", b"two", b"three"]
    assert len(seen) > 3
    taken.release()


@pytest.mark.parametrize("every", [1, 2])
def test_reads_that_are_answered_from_before(site: Site, every: int) -> None:
    """A cache that gives each read the answer it had before, all the time or every other time: two runs in turn, nothing is lost."""
    count = 0

    def stale(operation: str, key: str) -> str | None:
        nonlocal count
        count += operation == "GetObject"
        return "stale" if operation == "GetObject" and key.startswith(("log/", "head")) and count % every == 0 else None

    store, told = site.faulty(stale), []
    for serial in range(3):
        lock = store.lock(HOLDER, 0)
        store.append(serial, b"line", lock)
        told.append(serial)
        try:
            store.swap_head(store.read_head(), document(serial + 1), serial + 1, lock)
        except StoreError:
            break  # it says that it cannot see what is there; it does not go on from what was
        finally:
            lock.release()
    head = site.sound().read_head()
    assert [log(site.sound(), serial) for serial in told[-1:]] == [[b"line"]]
    assert head.serial == (3 if every == 2 else told[-1])


def test_duplicates_of_everything_from_two_runs_at_once(site: Site) -> None:
    """Every write arrives twice, from two runs that take turns by force: what each was told is what is there."""
    told = []
    stores = [site.faulty(lambda operation, key: "duplicate") for _ in range(2)]
    for turn in range(4):
        store = stores[turn % 2]
        lock = store.lock((HOLDER, OTHER)[turn % 2], 0)
        store.append(0, b"%d" % turn, lock)
        told.append(b"%d" % turn)
        if turn == 1:
            stores[0].break_lock()
            with pytest.raises(Conflict):
                store.append(0, b"late", lock)
        lock.release()
    assert log(site.sound(), 0) == told


def test_a_listing_that_lags_behind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The barrier finds the end of the log by creating, not by believing."""
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    store.append(0, b"two", lock)
    taker = site.sound()
    monkeypatch.setattr(taker._log, "_listed", lambda serial: 1)
    assert taker.break_lock() == HOLDER
    with pytest.raises(Conflict):
        store.append(0, b"late", lock)
    taken = taker.lock(OTHER, 0)
    assert log(taker, 0) == [b"one", b"two"]
    taken.release()


def test_a_request_of_a_lost_holder_that_arrives_late(site: Site) -> None:
    """The slot it wanted is taken, the tag it knew is void."""
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    head = store.read_head()
    assert site.sound().break_lock() == HOLDER
    lock._lost = False  # it does not know yet
    with pytest.raises(Conflict):
        store._log.append(0, b"late", lock.fence)
    with pytest.raises(Conflict):
        store.swap_head(head, document(1), 1, lock)
    assert site.sound().read_head() == head
    assert log(site.sound(), 0) == []


@pytest.mark.parametrize(
    ("key", "damage", "word"),
    [
        ("head.json", b"", "unreadable"),
        ("head.json", b'{"format": 1}', "unreadable"),
        ("head.json", None, "gone"),
        ("history/", b"", "not what was kept"),
        ("history/", None, "document is gone"),
        ("log/000000000000000/000000001", None, "Slot 1 .* is gone"),
        ("log/000000000000000/000000001", b"{}\nodd", "not what was written"),
    ],
)
def test_damage_is_told(site: Site, key: str, damage: bytes | None, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("s3", "s3_log"):
        monkeypatch.setattr(f"mlplan_state.{module}.LAGS", (0.01,))
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    store.append(0, b"two", lock)
    lock.release()
    bucket = site.bucket()
    found = next(item.key for item in bucket.list(key))
    if damage is None:
        bucket.delete(found)
    else:
        bucket.put(found, damage)
    assert site.sound().exists()
    with pytest.raises(StoreDamaged, match=word):
        log(site.sound(), site.sound().read_head().serial)
    with pytest.raises(Conflict):
        site.sound().initialise(document(0))


def test_a_damaged_head_can_be_locked_and_replaced(site: Site) -> None:
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    site.bucket().put("head.json", b"{")
    with pytest.raises(Conflict):
        store.swap_head(_head(), document(1), 1, lock)
    assert site.sound().break_lock() == HOLDER
    mender = site.sound()
    taken = mender.lock(OTHER, 0)
    serial = mender.next_serial()
    head = mender.replace_damaged(document(serial), serial, taken)
    taken.release()
    assert site.sound().read_head() == head
    aside = [item.key for item in site.bucket().list("damaged/")]
    assert any(key.endswith("head.json") for key in aside)
    assert any("/log/" in key for key in aside)


def _head() -> Any:
    from mlplan.spi.store import Head
    from mlplan_state.common import tag_of

    return Head(0, document(0), tag_of(document(0)))


def test_an_old_head_put_back_is_told(site: Site) -> None:
    store = site.sound()
    lock = store.lock(HOLDER, 0)
    old = site.bucket().get("head.json")
    head = store.read_head()
    for serial in (1, 2):
        head = store.swap_head(head, document(serial), serial, lock)
    lock.release()
    site.bucket().put("head.json", old.data)
    with pytest.raises(StoreDamaged, match="older"):
        site.sound().read_head()
    with pytest.raises(StoreDamaged, match="older"):
        store.read_head()


def test_a_damaged_lock_object_blocks_nobody(site: Site) -> None:
    lock = site.sound().lock(HOLDER, 0)
    site.bucket().put("lock.json", b"\0\0")
    taken = site.sound().lock(OTHER, 0)
    assert taken.fence > lock.fence
    taken.release()
    assert json.loads(site.bucket().get("lock.json").data)["condition"] == "free"
    lock.release()


def test_a_server_that_ignores_conditions_is_refused(tmp_path: Path) -> None:
    with careless_server() as endpoint:
        settings = {"bucket": "b", "key": "k", "endpoint": endpoint, "access_key": "a", "secret_key": "s"}
        store = S3Store(settings, tmp_path, "default")
        with pytest.raises(StoreError, match=r"does not honour conditional writes.*If-None-Match") as told:
            store.initialise(document(0))
        assert "MinIO" in str(told.value)
        assert not store.exists()


def test_keys_of_the_bucket_are_checked(tmp_path: Path) -> None:
    for key in ("", "../other", "a b", "ä"):
        with pytest.raises(StoreError, match="Invalid key"):
            S3Store({"bucket": "b", "key": key, "region": "eu-west-1"}, tmp_path, "default")
