"""What every store must keep, as checks that run against a real one. A plug-in's tests run all of `CHECKS`; so do ours.

Each check gets `connect`: a function that opens the same, at first uninitialised, state anew, as another process
would. A check that fails raises AssertionError. Documents are JSON objects that name their serial, as the ledger
writes them.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

from mlplan.spi.store import Conflict, Holder, LockHeld, Store, StoreDamaged, StoreError

Connect = Callable[[], Store]
HOLDER = Holder("ada", "box", 41, 1_700_000_000.0, "apply", "run-1")
OTHER = Holder("bob", "hut", 42, 1_700_000_001.0, "apply", "run-2")


def document(serial: int, note: str = "") -> bytes:
    """Return a document that any store takes."""
    return b'{\n  "serial": %d,\n  "note": "%s"\n}\n' % (serial, note.encode())


def raises(kind: type[BaseException], call: Callable[..., Any], *arguments: Any) -> BaseException:
    """Return the error that `call` raises; fail when it raises none of this kind."""
    try:
        call(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised no {kind.__name__}")


def log(store: Store, serial: int) -> list[bytes]:
    """Return the lines of a log."""
    return [line for chunk in store.read_log(serial) for line in chunk.split(b"\n")]


def check_uninitialised(connect: Connect) -> None:
    """Before `initialise` there is no state, and reading one is an error, not an empty state."""
    assert not connect().exists()
    error = raises(StoreError, connect().read_head)
    assert not isinstance(error, StoreDamaged), "what never was is not damaged"


def check_initialise_once(connect: Connect) -> None:
    """The first document stays; a second `initialise` changes nothing."""
    connect().initialise(document(0))
    assert connect().exists()
    raises(Conflict, connect().initialise, document(0, "again"))
    head = connect().read_head()
    assert (head.serial, head.document) == (0, document(0))
    assert log(connect(), 0) == []


def check_append_keeps_order(connect: Connect) -> None:
    """Lines come back in order, in other connections too; a block of lines is as many lines."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    for line in (b"one", b"two\nthree", "f\u00fcnf".encode()):
        store.append(0, line, lock)
    assert log(connect(), 0) == [b"one", b"two", b"three", "f\u00fcnf".encode()]
    lock.release()


def check_swap(connect: Connect) -> None:
    """A swap shows the new head everywhere, starts an empty log, and keeps both snapshots."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"line", lock)
    head = store.swap_head(store.read_head(), document(1), 1, lock)
    assert (head.serial, head.document) == (1, document(1))
    assert connect().read_head() == head
    assert log(connect(), 1) == []
    store.append(1, b"next", lock)
    assert log(connect(), 1) == [b"next"]
    lock.release()
    kept = connect().history()
    assert [serial for serial, _ in kept] == [1, 0]
    assert [connect().read_history(key) for _, key in kept] == [document(1), document(0)]
    assert connect().pinned() == []
    connect().pin(kept[1][1])
    assert connect().pinned() == [kept[1][1]]
    raises(StoreDamaged, connect().pin, "7-0123456789abcdef")
    raises(StoreDamaged, connect().read_history, "7-0123456789abcdef")
    raises(StoreError, connect().read_history, "../../etc/passwd")


def check_many_swaps(connect: Connect) -> None:
    """The history forgets nothing that is young or pinned, and keys of one serial never meet."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.pin(store.history()[0][1])
    for serial in range(1, 60):
        store.swap_head(store.read_head(), document(serial), serial, lock)
    lock.release()
    kept = connect().history()
    assert [serial for serial, _ in kept][:50] == list(range(59, 9, -1))
    assert kept[-1][0] == 0
    assert len({key for _, key in kept}) == len(kept) <= 53


def check_moving_in(connect: Connect) -> None:
    """A state of another store moves in at its serial, with its history; what is there already is not overwritten."""
    connect().initialise(document(7), 7)
    assert connect().read_head().serial == 7
    assert log(connect(), 7) == []
    key = connect().keep_history(5, document(5))
    assert connect().keep_history(5, document(5)) == key
    assert connect().read_history(key) == document(5)
    assert [serial for serial, _ in connect().history()] == [7, 5]
    assert connect().read_head().serial == 7
    raises(Conflict, connect().initialise, document(9), 9)
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.append(7, b"line", lock)
    assert store.swap_head(store.read_head(), document(8), 8, lock).serial == 8
    lock.release()


def check_repair(connect: Connect) -> None:
    """A head can be replaced whatever it is; the serial rises, the new log is empty, the old log can be read before."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"one", lock)
    assert list(connect().read_damaged_log(0)) in ([b"one"], [b"one\n"])
    assert list(connect().read_damaged_log(7)) == []
    serial = connect().next_serial()
    assert serial > 0
    raises(StoreError, store.replace_damaged, document(0), 0, lock)
    head = store.replace_damaged(document(serial, "mended"), serial, lock)
    assert connect().read_head() == head
    assert log(connect(), serial) == []
    store.append(serial, b"two", lock)
    lock.release()
    assert log(connect(), serial) == [b"two"]
    raises(Conflict, store.replace_damaged, document(serial + 1), serial + 1, lock)


def check_swap_compares(connect: Connect) -> None:
    """A head that is not the present one is refused, and so is a serial that does not rise."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    first = store.read_head()
    second = store.swap_head(first, document(1), 1, lock)
    raises(Conflict, store.swap_head, first, document(2), 2, lock)
    raises(StoreError, store.swap_head, second, document(1), 1, lock)
    assert connect().read_head() == second
    lock.release()


def check_lock_excludes(connect: Connect) -> None:
    """One holder at a time; who waits learns who holds it, and gets it when it is given back."""
    connect().initialise(document(0))
    lock = connect().lock(HOLDER, 0)
    error = raises(LockHeld, connect().lock, OTHER, 0)
    assert isinstance(error, LockHeld)
    assert error.holder == HOLDER
    assert connect().holder() == HOLDER
    began = time.monotonic()
    raises(LockHeld, connect().lock, OTHER, 0.2)
    assert time.monotonic() - began >= 0.2
    threading.Timer(0.1, lock.release).start()
    later = connect().lock(OTHER, 10)
    assert later.fence > lock.fence
    lock.release()  # once more: harmless, and it must not free the other one
    raises(LockHeld, connect().lock, HOLDER, 0)
    later.release()
    assert connect().holder() is None


def check_released_lock_writes_nothing(connect: Connect) -> None:
    """After `release` the lock is worth nothing."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    head = store.read_head()
    lock.release()
    raises(Conflict, store.append, 0, b"late", lock)
    raises(Conflict, store.swap_head, head, document(1), 1, lock)
    assert log(connect(), 0) == []
    assert connect().read_head() == head


def check_fence(connect: Connect) -> None:
    """`break_lock` takes everything from the holder: it appends nothing, swaps nothing, and frees nothing."""
    connect().initialise(document(0))
    store = connect()
    lock = store.lock(HOLDER, 0)
    store.append(0, b"before", lock)
    head = store.read_head()
    assert connect().break_lock() == HOLDER
    raises(Conflict, store.append, 0, b"after", lock)
    raises(Conflict, store.swap_head, head, document(1), 1, lock)
    taker = connect()
    taken = taker.lock(OTHER, 0)
    assert taken.fence > lock.fence
    raises(Conflict, store.append, 0, b"after", lock)
    lock.release()
    raises(LockHeld, connect().lock, HOLDER, 0)
    assert log(taker, 0) == [b"before"]
    taker.append(0, b"mine", taken)
    assert log(connect(), 0) == [b"before", b"mine"]
    taken.release()
    assert connect().break_lock() is None


def check_one_of_many_gets_the_lock(connect: Connect) -> None:
    """Of many that swap at once, each under the lock, every one builds on the one before."""
    connect().initialise(document(0))
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            store = connect()
            lock = store.lock(OTHER, 30)
            try:
                head = store.read_head()
                store.append(head.serial, b"%d" % number, lock)
                store.swap_head(head, document(head.serial + 1, f"by {number}"), head.serial + 1, lock)
            finally:
                lock.release()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    assert connect().read_head().serial == 6
    assert [serial for serial, _ in connect().history()] == [6, 5, 4, 3, 2, 1, 0]


def check_blobs(connect: Connect) -> None:
    """A blob comes back as it was; the same again is fine; a key that is another's digest is refused."""
    connect().initialise(document(0))
    data = bytes(range(256)) * 10
    key = "sha256:" + hashlib.sha256(data).hexdigest()
    assert connect().get_blob(key) is None
    assert list(connect().blobs()) == []
    connect().put_blob(key, data)
    connect().put_blob(key, data)
    assert connect().get_blob(key) == data
    raises(StoreError, connect().put_blob, key, b"other")
    raises(StoreError, connect().put_blob, "../escape", b"other")
    assert connect().get_blob(key) == data
    assert list(connect().blobs()) == [key]


CHECKS: tuple[Callable[[Connect], None], ...] = (
    check_uninitialised,
    check_initialise_once,
    check_append_keeps_order,
    check_swap,
    check_many_swaps,
    check_moving_in,
    check_repair,
    check_swap_compares,
    check_lock_excludes,
    check_released_lock_writes_nothing,
    check_fence,
    check_one_of_many_gets_the_lock,
    check_blobs,
)
