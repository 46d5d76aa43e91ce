"""Probes for syncs and checks that matter only at odd moments: two takers of one lock, a power loss after a take-over, a removal."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from mlplan.ledger import codec
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.replay import LedgerMisuse
from mlplan.ledger.session import Ledger, Session, open_store
from mlplan.spi.store import Conflict, Holder, StoreDamaged, StoreError
from mlplan_state.files import READ_LIMIT, Files
from mlplan_state.local import LocalStore
from tests.world.disk import Disk, DiskFiles
from tests.world.ledger_work import HOLDER, Work, local

OTHER = Holder("bob", "hut", 2, 1.0, "apply", "other")
IMAGES = 24


def images(disk: Disk) -> Iterator[Disk]:
    """Yield disks as a power loss now may leave them."""
    for seed in range(IMAGES):
        image, _ = disk.image(random.Random(seed))
        yield image.copy()


def _abandoned() -> Disk:
    """Return a disk with a state whose last holder died in the middle of a run, after everything was written back."""
    disk = Disk()
    Work(lambda: local(DiskFiles(disk)), 1, 2).all()
    left = Ledger(local(DiskFiles(disk))).begin("left", HOLDER, "apply")
    left.put_record(Record("thing.left", "thing", {"value": 0}))
    for inode in disk.inodes.values():
        inode.durable = bytes(inode.data)
        inode.pending.clear()
    for folder in disk.folders.values():
        folder.durable = dict(folder.names)
        folder.pending.clear()
    return disk.copy()


def probe_two_takers() -> str:
    """Who falls asleep while it takes over a lock, which is taken from it meanwhile, takes nothing from the next holder."""
    for at in range(40):
        disk, seen = _abandoned(), [-1]
        sessions: list[Session] = []

        def before(operation: str, path: str, disk: Disk = disk, seen: list[int] = seen, at: int = at,
                   sessions: list[Session] = sessions) -> None:  # fmt: skip
            seen[0] += 1
            if seen[0] == at:
                other = Ledger(local(DiskFiles(disk)))
                other.break_lock()
                sessions.append(other.begin("other", OTHER, "apply"))
                sessions[0].put_record(Record("thing.other", "thing", {"value": 1}))

        store = local(DiskFiles(disk, before))
        with contextlib.suppress(StoreError):
            store.lock(HOLDER, 0)
        if not sessions:
            break
        try:
            sessions[0].put_record(Record("thing.later", "thing", {"value": 2}))
        except StoreError as error:
            return f"asleep at {at}: the holder is kept from its work: {error}"
        found = open_store(local(DiskFiles(disk.copy()))).state.records
        if not {"thing.other", "thing.later"} <= set(found):
            return f"asleep at {at}: what the holder wrote is lost, there is {sorted(found)}"
    return ""


def probe_line_after_take_over() -> str:
    """A line that was acknowledged right after a take-over outlives a power loss."""
    disk = _abandoned()
    store = local(DiskFiles(disk))
    head = store.read_head()
    store.append(head.serial, b"1 acknowledged", store.lock(HOLDER, 0))
    for image in images(disk):
        if b"1 acknowledged" not in list(local(DiskFiles(image)).read_log(head.serial)):
            return "the line is lost"
    return ""


def probe_marker() -> str:
    """A marker that was lost is put back by the next holder, for good: a state that was there is never taken for none."""
    disk = _abandoned()
    folder = next(path for path in disk.folders if path.endswith("/default"))
    disk.folders[folder].names.pop("initialised")
    disk.folders[folder].durable.pop("initialised")
    local(DiskFiles(disk)).lock(HOLDER, 0)
    lost = [image for image in images(disk) if "initialised" not in image.folders[folder].names]
    return "the marker is lost" if lost else ""


def probe_history_is_kept() -> str:
    """Every snapshot whose run was told that it ended is in the history after a power loss."""
    disk = Disk()
    Work(lambda: local(DiskFiles(disk)), 1, 3).all()
    known = {serial for serial, _ in local(DiskFiles(disk.copy())).history()}
    for image in images(disk):
        found = {serial for serial, _ in local(DiskFiles(image)).history()}
        if found != known:
            return f"{known - found} are lost"
    return ""


def probe_broken_store() -> str:
    """After a write that failed, the lock that it was done under writes nothing, whoever asks."""
    disk = _abandoned()
    failing: list[bool] = []

    def before(operation: str, path: str) -> None:
        if failing and operation == "sync_data":
            failing.clear()
            raise OSError(errno.EIO, "injected")

    store = local(DiskFiles(disk, before))
    lock = store.lock(HOLDER, 0)
    serial = store.read_head().serial
    failing.append(True)
    return _refused(lambda: store.append(serial, b"1 x", lock)) or _refused(lambda: store.append(serial, b"1 y", lock))


def probe_removal() -> str:
    """A workspace is removed by its holder alone, and what was removed does not come back: the folder above is synced first."""
    called: list[str] = []

    class Recorded(Files):
        def replace(self, source: Path, target: Path) -> None:
            called.append(f"replace {source.name}")
            super().replace(source, target)

        def sync_folder(self, path: Path) -> None:
            called.append(f"sync {path.name}")
            super().sync_folder(path)

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        store = LocalStore({}, root, "default", Recorded())
        Ledger(store).initialise("lineage")
        lock = store.lock(HOLDER, 0)
        store.break_lock()
        if problem := _refused(lambda: store.remove(lock), Conflict):
            return problem
        if open_store(LocalStore({}, root, "default")).state.lineage != "lineage":
            return "it is gone"
        lock = store.lock(HOLDER, 0)
        called.clear()
        store.remove(lock)
        parent = store.folder.parent.name
        lock.release()
        if called != ["replace default", f"sync {parent}"] or os.listdir(root / ".mlplan" / parent):
            return f"called {called}"
    return ""


def probe_words() -> str:
    """What is wrong with a document is said as it is, and what has no seal, or a seal over nonsense, is refused."""
    good = orjson.loads(codec.encode(State("lineage", 3), None))
    bare = {k: v for k, v in good.items() if k not in ("checksum", "format")}
    wrong = {
        b"": "is empty", b"\0" * 64: "zero bytes", b"[]\n": "no JSON object",
        orjson.dumps({**bare, "format": 2}): "no checksum",
        orjson.dumps({**bare, "checksum": codec.checksum_of(bare)}): "its format",
        orjson.dumps({**bare, "format": True, "checksum": codec.checksum_of({**bare, "format": True})}): "its format",
    }  # fmt: skip
    for data, word in wrong.items():
        try:
            codec.decode(data)
        except StoreDamaged as error:
            if word not in error.detail:
                return f"{data[:30]!r}: {error.detail}"
        else:
            return f"{data[:30]!r} is taken"
    try:
        codec.decode(b'{"mlplan_encrypted": 1}')
    except StoreError as error:
        return "" if "encrypted" in error.summary else f"an encrypted state is called {error.summary}"
    return "an encrypted document is taken"


def probe_odd_key() -> str:
    """A file in the history whose name is no key is not read."""
    disk = _abandoned()
    store = local(DiskFiles(disk))
    folder = next(path for path in disk.folders if path.endswith("/history"))
    name = next(iter(disk.folders[folder].names))
    disk.folders[folder].names["odd.json.zst"] = disk.folders[folder].names[name]
    return _refused(lambda: store.read_history("odd"), StoreDamaged)


def probe_misuse() -> str:
    """An entry that may not follow is refused before it is written, and the run can go on."""
    disk = Disk()
    Ledger(local(DiskFiles(disk))).initialise("lineage")
    with Ledger(local(DiskFiles(disk))).begin("r", HOLDER, "apply") as session:
        session.intent(Operation("a.b", "a.b#put", "put", "thing", "t1"))
        with contextlib.suppress(LedgerMisuse):
            session.intent(Operation("a.b", "a.b#other", "other", "thing", "t2"))
            return "a second intent at one address is taken"
        with contextlib.suppress(LedgerMisuse):
            session.done("c.d", "c.d#put")
            return "an outcome without an intent is taken"
        session.done("a.b", "a.b#put", Record("a.b", "thing", {}))
        session.end("done")
    return "" if list(open_store(local(DiskFiles(disk.copy()))).state.records) == ["a.b"] else "the record is lost"


def probe_follower() -> str:
    """When a write fails, those whose entries waited for the next one are told, and nothing of theirs is tried again."""
    disk = Disk()
    store = local(DiskFiles(disk))
    Ledger(store).initialise("lineage")
    session = Ledger(store).begin("r", HOLDER, "apply")
    began, waits, written, told = threading.Event(), threading.Event(), [0], []

    def append(serial: int, line: bytes, lock: object) -> None:
        written[0] += 1
        if written[0] > 3:
            raise RuntimeError("it would go on for ever")
        if written[0] > 1:
            return
        began.set()
        waits.wait(10)
        raise StoreError("The disk is full", "injected")

    def put(name: str) -> None:
        try:
            session.put_record(Record(name, "thing", {}))
        except StoreError:
            told.append(name)

    store.append = append  # type: ignore[method-assign, assignment]
    threads = [threading.Thread(target=put, args=(name,)) for name in ("a.a", "b.b")]
    threads[0].start()
    began.wait(10)
    threads[1].start()
    while session._commit._queued < 3:  # run_begin and the two
        time.sleep(0.001)
    waits.set()
    for thread in threads:
        thread.join(20)
    return "" if (sorted(told), written) == (["a.a", "b.b"], [1]) else f"{told} were told, written {written[0]} times"


def probe_late_writer() -> str:
    """An entry that comes while the run is being folded is refused: it would be in no snapshot."""
    store = local(DiskFiles(_abandoned()))
    session = Ledger(store).begin("r", HOLDER, "apply")
    swap, said = store.swap_head, []

    def late(*given: Any) -> Any:
        said.append(_refused(lambda: session.outputs({"late": True})))
        return swap(*given)

    store.swap_head = late  # type: ignore[method-assign]
    session.end("done")
    return said[0]


def probe_unreadable_journal() -> str:
    """A journal that cannot be read just now is not passed over when a lock is taken over."""

    class Unreadable(DiskFiles):
        def read(self, path: Path, limit: int = READ_LIMIT) -> bytes:
            if path.name.startswith("journal."):
                raise OSError(errno.EIO, "injected")
            return super().read(path, limit)

    return _refused(lambda: local(Unreadable(_abandoned())).lock(HOLDER, 0))


def probe_unreadable_is_not_damaged() -> str:
    """A file that cannot be read just now is not called damaged: a repair would throw away what is whole."""

    class Unreadable(DiskFiles):
        name = ""

        def read(self, path: Path, limit: int = READ_LIMIT) -> bytes:
            if path.name.startswith(self.name):
                raise OSError(errno.EACCES, "injected")
            return super().read(path, limit)

    for Unreadable.name in ("state.json", "journal."):
        try:
            open_store(local(Unreadable(_abandoned())))
        except StoreDamaged as error:
            return f"{Unreadable.name} is called damaged: {error}"
        except StoreError:
            continue
        return f"{Unreadable.name} is passed over"
    return ""


def _refused(call: Callable[[], object], kind: type[StoreError] = StoreError) -> str:
    try:
        call()
    except kind:
        return ""
    return f"no {kind.__name__}"


PROBES: tuple[Callable[[], str], ...] = (
    probe_two_takers, probe_line_after_take_over, probe_marker, probe_history_is_kept, probe_broken_store, probe_removal, probe_words,
    probe_odd_key, probe_misuse, probe_follower, probe_late_writer, probe_unreadable_journal, probe_unreadable_is_not_damaged,
)  # fmt: skip
