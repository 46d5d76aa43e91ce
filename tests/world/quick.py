"""A short sharp look at the local store and the ledger: the first problem that any proof finds. For mutants."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from mlplan.ledger import codec, repair
from mlplan.ledger.journal import Entry, Writer, read
from mlplan.ledger.records import Record, State
from mlplan.ledger.replay import LedgerMisuse
from mlplan.ledger.session import Ledger, open_store
from mlplan.spi.store import Conflict, Holder, StoreDamaged, StoreError
from mlplan.spi.store_kit import CHECKS
from mlplan_state.files import Files
from mlplan_state.local import LocalStore
from tests.world import guards, proofs
from tests.world.disk import Disk, DiskFiles, Killed
from tests.world.ledger_work import HOLDER, Work, local

OTHER = Holder("bob", "hut", 2, 1.0, "apply", "other")


def first_problem(root: Path) -> str:
    """Return the first problem, empty when there is none."""
    for number, check in enumerate(CHECKS):
        try:
            check(lambda n=number: LocalStore({}, root / f"kit{n}", "default"))  # type: ignore[misc]
        except AssertionError as error:
            return f"{check.__name__}: {error}"
    for probe in (*guards.PROBES, *PROBES, *TALLIES):
        problem = probe()
        if problem:
            return f"{getattr(probe, '__name__', 'proof')}: {problem}"
    return _system_calls(root)


def _must(kind: type[BaseException], call: Callable[[], object]) -> str:
    try:
        call()
    except kind:
        return ""
    return f"no {kind.__name__}"


def probe_documents() -> str:
    """What is no document is refused."""
    good = orjson.loads(codec.encode(State("lineage", 3), None))
    bad: list[bytes] = [b"", b"\0" * 64, b"[]", b"{", b"{}", orjson.dumps({**good, "serial": 4}), b'{"format": 2}']
    bad.append(orjson.dumps(good).replace(b'"serial":3', b'"serial":4,"serial":3'))
    bad.append(orjson.dumps({k: v for k, v in good.items() if k != "checksum"}))
    sealed = {**{k: v for k, v in good.items() if k != "checksum"}, "format": 99}
    newer = orjson.dumps({**sealed, "checksum": codec.checksum_of(sealed)})
    for data in bad:
        if problem := _must(StoreDamaged, lambda d=data: codec.decode(d)):  # type: ignore[misc]
            return f"{problem} for {data[:40]!r}"
    for data in (b"[]", b'{"a":1,"a":2}', b"{"):
        if problem := _must(StoreDamaged, lambda d=data: codec.strict(d)):  # type: ignore[misc]
            return f"{problem} for {data[:40]!r}"
    unknown = {**sealed, "format": 0}
    nothing = orjson.dumps({**unknown, "checksum": codec.checksum_of(unknown)})
    return _must(StoreError, lambda: codec.decode(newer)) or _must(StoreDamaged, lambda: codec.decode(nothing))


def probe_rival_init() -> str:
    """Who sleeps anywhere in `init` does not overwrite the state that another one made meanwhile."""
    for at in range(40):
        disk, seen = Disk(), [-1]

        def before(operation: str, path: str, at: int = at, disk: Disk = disk, seen: list[int] = seen) -> None:
            seen[0] += 1
            if seen[0] == at:
                other = local(DiskFiles(disk))
                if other._files.exists(other.folder):
                    other.break_lock()
                with contextlib.suppress(Conflict):
                    Ledger(other).initialise("other")

        lineage = "mine"
        try:
            Ledger(local(DiskFiles(disk, before))).initialise("mine")
        except StoreError:
            lineage = "other"
        found = open_store(local(DiskFiles(disk.copy()))).state.lineage
        if found != lineage and seen[0] >= at:
            return f"asleep at {at}: told {lineage}, there is {found}"
    return ""


def probe_old_document() -> str:
    """A document much older than the history is refused, and repair takes no serial that was there before."""
    disk = Disk()
    work = Work(lambda: local(DiskFiles(disk)), 1, 3)
    work.initialise()
    folder = next(path for path in disk.folders if path.endswith("/default"))
    early = bytes(disk.inodes[disk.folders[folder].names["state.json"]].data)
    for run in (1, 3, 4):
        work.run(f"run{run}", run)
    store = local(DiskFiles(disk))
    lock = store.lock(HOLDER, 0)
    if problem := _must(StoreError, lambda: store.replace_damaged(b'{"serial": 2}', 2, lock)):
        return problem
    if problem := _must(StoreError, lambda: store.replace_damaged(b'{"serial": 9}', 8, lock)):
        return problem
    disk.inodes[disk.folders[folder].names["state.json"]].data[:] = early
    if problem := _must(StoreDamaged, lambda: store.read_head()):
        return problem
    lock.release()
    disk.folders[folder].names.pop("state.json")
    return _must(Conflict, lambda: store.initialise(b'{"serial": 0}'))


def probe_set_aside() -> str:
    """What a repair sets aside is durable before the new document is: at any power loss the damaged bytes are somewhere."""
    for at in range(60):
        disk, seen = Disk(), [-1]
        Work(lambda d=disk: local(DiskFiles(d)), 1, 1).all()  # type: ignore[misc]
        folder = next(path for path in disk.folders if path.endswith("/default"))
        inode = disk.inodes[disk.folders[folder].names["state.json"]]
        inode.data[:] = inode.data[:-40] + b"by hand"
        inode.durable = bytes(inode.data)
        files = DiskFiles(disk)

        def before(operation: str, path: str, at: int = at, files: DiskFiles = files, seen: list[int] = seen) -> None:
            seen[0] += 1
            if seen[0] == at:
                files.dead = True
                raise Killed

        files.before = before
        with contextlib.suppress(Killed):
            store = local(files)
            repair.restore(store, store.history()[-1][1], HOLDER)
        for seed in range(12):
            image, _ = disk.image(random.Random(seed))
            if not any(data.endswith(b"by hand") for data in image.files().values()):
                return f"lost at operation {at}"
    return ""


def probe_pin() -> str:
    """A pin that was answered for outlives a power loss."""
    disk = Disk()
    Work(lambda: local(DiskFiles(disk)), 1, 1).all()
    store = local(DiskFiles(disk))
    key = store.history()[0][1]
    store.pin(key)
    for seed in range(20):
        image, _ = disk.image(random.Random(seed))
        if local(DiskFiles(image.copy())).pinned() != [key]:
            return "the pin is lost"
    return ""


def probe_journal() -> str:
    """The chain of lines alone tells a torn end from damage, and a stranger's entry from one of ours."""
    writer = Writer("0" * 8)
    entries = [Entry("outputs", 1.0, "r", {"values": {"n": n}}) for n in range(3)]
    lines = [writer.line(entry, number) for number, entry in enumerate(entries)]
    if len(read([*lines[:2], lines[2][:-4]], "0" * 8).entries) != 2:
        return "a torn end is not dropped"
    broken = lines[1].replace(b'"n":1', b'"n":7')
    if problem := _must(StoreDamaged, lambda: read([lines[0], broken, lines[2]], "0" * 8)):
        return f"{problem} for an altered line"
    if problem := _must(StoreDamaged, lambda: read([lines[0], lines[2]], "0" * 8)):
        return f"{problem} for a line that was taken out"
    strange = Writer("0" * 8).line(Entry("alien", 1.0, "r", {}), 0)  # type: ignore[arg-type]
    return _must(StoreDamaged, lambda: read([strange], "0" * 8))


def probe_stranger() -> str:
    """A journal of another snapshot, an old document, a journal from the future, a lock of another kind: refused."""
    disk = Disk()
    work = Work(lambda: local(DiskFiles(disk)), 2, 1)
    work.initialise()
    early = disk.copy()
    work.run("run1", 1)
    work.run("run2", 2, end=False)
    folder = next(path for path in disk.folders if path.endswith("/default"))
    for name in ("state.json", "journal.1.jsonl"):
        if problem := _swapped(disk, early, folder, name):
            return problem
    store = local(DiskFiles(disk.copy()))
    lock = store.lock(HOLDER, 0)
    head = store.read_head()
    wrong = [
        lambda: store.append(1, b"x", object()),  # type: ignore[arg-type]
        lambda: local(DiskFiles(Disk())).initialise(b'{"serial": 4}', 0),
        lambda: store.swap_head(head, b'{"serial": 9}', 5, lock),
        lambda: store.swap_head(head, b'{"serial": 1}', 1, lock),
        lambda: store.keep_history(3, b'{"serial": 4}'),
        lambda: LocalStore({}, Path("/x"), "../../etc"),
        lambda: store.put_blob("sha256:" + "0" * 64, b"other"),
        lambda: store.put_blob("../x", b"other"),
    ]
    for number, call in enumerate(wrong):
        if problem := _must(StoreError, call):
            return f"{problem} for {number}"
    lock.release()
    return ""


def _swapped(disk: Disk, early: Disk, folder: str, name: str) -> str:
    old = disk.copy()
    if name == "state.json":
        data = bytes(early.inodes[early.folders[folder].names[name]].data)
        old.inodes[old.folders[folder].names[name]].data[:] = data
        return _must(StoreDamaged, lambda: open_store(local(DiskFiles(old))))
    line = local(DiskFiles(disk.copy())).read_log(1)
    first = next(iter(line))
    strange = old.inodes[old.folders[folder].names[name]].data
    strange[:] = strange[len(first) + 1 :]
    return _must(StoreDamaged, lambda: open_store(local(DiskFiles(old))))


def probe_future_journal() -> str:
    """Nothing is written over a journal that belongs to a later snapshot; a lost journal is damage."""
    disk = Disk()
    work = Work(lambda: local(DiskFiles(disk)), 1, 2)
    work.initialise()
    work.run("run1", 1)
    folder = next(path for path in disk.folders if path.endswith("/default"))
    store = local(DiskFiles(disk))
    lock = store.lock(HOLDER, 0)
    disk.change(folder, ("journal.2.jsonl", disk.new_inode().number))
    head = store.read_head()
    if problem := _must(StoreDamaged, lambda: store.swap_head(head, b'{"serial": 2}', 2, lock)):
        return problem
    lock.release()
    gone = disk.copy()
    gone.folders[folder].names.pop("journal.1.jsonl")
    gone.folders[folder].names.pop("journal.2.jsonl", None)
    with_line = disk.copy()
    with_line.folders[folder].names.pop("journal.2.jsonl")
    ledger = Ledger(local(DiskFiles(with_line)))
    ledger.begin("run2", HOLDER, "apply").close()
    with_line.folders[folder].names.pop("journal.1.jsonl")
    return _must(StoreDamaged, lambda: open_store(local(DiskFiles(with_line))))


def probe_sleeper() -> str:
    """A holder that sleeps at any operation while the lock is taken from it changes nothing when it wakes."""
    for at in range(0, proofs.operations(1, 2) - 30, 1):
        problem = _slept(at)
        if problem:
            return f"asleep at {at}: {problem}"
    return ""


def _slept(at: int) -> str:
    disk, seen = Disk(), -1
    base = Work(lambda: local(DiskFiles(disk)), 1, 1)
    base.initialise()
    taken: list[State] = []

    def before(operation: str, path: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            other = Ledger(local(DiskFiles(disk)))
            other.break_lock()
            with other.begin("other", OTHER, "apply") as session:
                session.put_record(Record("thing.other", "thing", {"value": 5}))
                taken.append(session.end("done"))

    work = Work(lambda: local(DiskFiles(disk, before)), 1, 1)
    work.promises = base.promises
    try:
        work.run("run1", 1)
    except (StoreError, Killed):
        pass
    except LedgerMisuse as error:
        return str(error)
    found = open_store(local(DiskFiles(disk.copy()))).state
    if taken and found.records.get("thing.other") is None:
        return "what the new holder wrote is lost"
    if not taken:
        return ""
    return "" if found.serial >= taken[0].serial else "the serial went back"


def probe_history_order() -> str:
    """Keys are checked, pins hold, damaged snapshots are told, and removed ones are not found."""
    disk = Disk()
    Work(lambda: local(DiskFiles(disk)), 1, 2).all()
    store = local(DiskFiles(disk))
    _, key = store.history()[0]
    folder = next(path for path in disk.folders if path.endswith("/history"))
    inode = disk.inodes[disk.folders[folder].names[f"{key}.json.zst"]]
    whole = bytes(inode.data)
    inode.data[len(whole) // 2] ^= 8
    if problem := _must(StoreDamaged, lambda: store.read_history(key)) or _must(StoreDamaged, lambda: store.pin(key)):
        return problem
    inode.data[:] = whole
    blob = next(store.blobs())
    where = next(p for p in disk.files() if blob[7:] in p)
    folder, _, name = where.rpartition("/")
    disk.inodes[disk.folders[folder].names[name]].data[3] ^= 1
    return _must(StoreDamaged, lambda: store.get_blob(blob)) or _must(StoreDamaged, lambda: store.read_history("x"))


def probe_session() -> str:
    """A session that has ended or failed writes nothing more, not even from another thread."""
    disk = Disk()
    files = DiskFiles(disk)
    Ledger(local(files)).initialise("lineage")
    session = Ledger(local(files)).begin("r", HOLDER, "apply")
    session.close()
    if problem := _must(StoreError, lambda: session.outputs({"a": 1})):
        return problem
    session = Ledger(local(files)).begin("r2", HOLDER, "apply")
    fail = [True]

    def before(operation: str, path: str) -> None:
        if fail and operation == "sync_data":
            fail.clear()
            raise OSError(5, "injected")

    files.before = before
    if problem := _must(StoreError, lambda: session.outputs({"a": 1})):
        return problem
    return _must(StoreError, lambda: session.outputs({"a": 2})) or _must(StoreError, lambda: session.end("x"))


PROBES: tuple[Callable[[], str], ...] = (
    probe_documents, probe_rival_init, probe_old_document, probe_set_aside, probe_pin, probe_journal, probe_stranger, probe_future_journal,
    probe_history_order, probe_session, probe_sleeper,
)  # fmt: skip


def _first(tally: proofs.Tally) -> str:
    return tally.problems[0] if tally.problems else ""


def _tallies() -> Iterator[Callable[[], str]]:
    yield lambda: _first(proofs.crash_points(1, 2))
    yield lambda: _first(proofs.power_losses(4000, 3, 1, 2))
    yield lambda: _first(proofs.power_losses(3000, 4, 1, 3))
    yield lambda: _first(proofs.io_faults(1, 2, 2))
    yield lambda: _first(proofs.damaged_bytes(37))
    yield lambda: _first(proofs.damaged_bytes(23, ("journal", "mark")))


TALLIES = tuple(_tallies())


def _system_calls(root: Path) -> str:
    """The seam to the real file system does what it says."""
    called: list[str] = []
    real = os.fsync, os.fdatasync
    os.fsync = lambda fd: (called.append("fsync"), real[0](fd))[1]  # type: ignore[assignment]
    os.fdatasync = lambda fd: (called.append("fdatasync"), real[1](fd))[1]  # type: ignore[assignment]
    try:
        files = Files()
        folder = root / "calls" / "deep"
        files.make_folder(folder)
        fd = files.open(folder / "a", os.O_CREAT | os.O_WRONLY)
        files.write(fd, b"x")
        files.sync(fd)
        files.sync_data(fd)
        files.close(fd)
        files.sync_folder(folder)
    finally:
        os.fsync, os.fdatasync = real
    return "" if called == ["fsync", "fsync", "fsync", "fdatasync", "fsync"] else f"system calls: {called}"
