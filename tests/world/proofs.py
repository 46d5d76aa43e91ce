"""The proofs over the state, as functions that count: crash points, faults of input and output, power losses, damage, rivals.

The bounded tests call them with small numbers, tools/fault.py with large ones.
"""

from __future__ import annotations

import contextlib
import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlplan.ledger import repair
from mlplan.ledger.records import Record
from mlplan.ledger.session import Ledger, open_store
from mlplan.spi.store import Holder, LockHeld, Store, StoreDamaged, StoreError
from mlplan_state.files import Files
from mlplan_state.local import LocalStore
from tests.world.disk import Disk, DiskFiles, Killed, PartlyWritten
from tests.world.ledger_work import HOLDER, Work, broken_promise, goes_on, local

ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)


@dataclass
class Tally:
    """How many cases were tried, how many of them differ from each other, and every problem in words."""

    cases: int = 0
    distinct: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str, where: str) -> None:
        """Count one case."""
        self.cases += 1
        if problem:
            self.problems.append(f"{where}: {problem}")


def survives(make: Callable[[], Store], work: Work, *, on: bool = True) -> str:
    """Return what is wrong with what a crash left, empty when nothing is. on: also whether work can go on."""
    try:
        problem = broken_promise(make(), work.promises)
        return problem or (goes_on(make(), work.promises) if on else "")
    except StoreError as error:
        return f"unreadable: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def operations(addresses: int = 3, runs: int = 3) -> int:
    """Return how many changing operations the work has."""
    found: list[str] = []
    files = DiskFiles(Disk(), lambda operation, path: found.append(operation))
    Work(lambda: local(files), addresses, runs).all()
    return len(found)


def crash_points(addresses: int = 3, runs: int = 3, step: int = 1) -> Tally:
    """Kill the process before, after and in the middle of every operation that changes the disk."""
    tally = Tally()
    for at in range(0, operations(addresses, runs), step):
        for where in ("before", "after", "torn"):
            disk = Disk()
            work = _killed(disk, at, where, addresses, runs)
            tally.add(survives(lambda d=disk: local(DiskFiles(d.copy())), work), f"{where} operation {at}")  # type: ignore[misc]
    return tally


def _killed(disk: Disk, at: int, where: str, addresses: int, runs: int) -> Work:
    seen = -1
    files = DiskFiles(disk)

    def die() -> None:
        files.dead = True
        raise Killed

    def before(operation: str, path: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at and where == "before":
            die()
        if seen == at and where == "torn" and operation.startswith("write"):
            files.dead = True
            raise PartlyWritten(at * 7 + 3, Killed())

    def after(operation: str, path: str) -> None:
        if seen == at:
            die()

    files.before, files.after = before, after
    work = Work(lambda: local(files), addresses, runs)
    with contextlib.suppress(Killed):
        work.all()
    return work


def io_faults(addresses: int = 2, runs: int = 3, step: int = 1) -> Tally:
    """Let the k-th operation fail with EIO, ENOSPC, EROFS, some writes after a part: the run ends, nothing is tried again."""
    tally = Tally()
    for at in range(0, operations(addresses, runs), step):
        for code in ERRORS:
            for partly in (False, True):
                tally.add(_fault(at, code, partly, addresses, runs), f"{errno.errorcode[code]} at {at}")
    return tally


def _fault(at: int, code: int, partly: bool, addresses: int, runs: int) -> str:
    disk, seen, later = Disk(), -1, []

    def before(operation: str, path: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            error = OSError(code, "injected", path)
            if partly and operation.startswith("write"):
                raise PartlyWritten(at * 5 + 1, error)
            raise error
        if seen > at and operation != "write_at":
            later.append(operation)

    files = DiskFiles(disk, before)
    work = Work(lambda: local(files), addresses, runs)
    try:
        work.all()
    except StoreError:
        pass
    except Exception as error:
        return f"the error came out as {type(error).__name__}: {error}"
    else:
        # Only the mark beside the journal, and the word "free" in the lock, are courtesies that may fail.
        return "" if seen >= at else "the fault was never reached"
    if later:
        return f"went on with {later[:3]}"
    return survives(lambda: local(DiskFiles(disk.copy())), work)


def power_losses(images: int, seed: int, addresses: int = 2, runs: int = 3, on_every: int = 20) -> Tally:
    """Draw so many disks as power losses may leave them, spread over every operation of the work; each must keep all promises.

    on_every: of each so many, one is also worked on further.
    """
    tally, rng = Tally(), random.Random(seed)
    total = operations(addresses, runs)
    per = max(1, -(-images // total))
    for at in range(total):
        disk = Disk()
        work = _killed(disk, at, rng.choice(("before", "after")), addresses, runs)
        known: dict[int, str] = {}
        for number in range(min(per, images - tally.cases)):
            image, key = disk.image(rng)
            if key not in known:
                on = number % on_every == 0
                known[key] = survives(lambda i=image: local(DiskFiles(i.copy())), work, on=on)  # type: ignore[misc]
            tally.add(known[key], f"power loss at operation {at}, seed {seed}")
        tally.distinct += len(known)
        if tally.cases >= images:
            break
    return tally


def damaged_bytes(step: int = 1, names: tuple[str, ...] = ("",)) -> Tally:
    """Flip, zero, and cut at every byte of every file of a state: it reads as what it was, or is refused with a reason.

    names: only files whose name begins with one of these.
    """
    tally = Tally()
    disk = Disk()
    work = Work(lambda: local(DiskFiles(disk)), 2, 2)
    work.all()
    state = open_store(local(DiskFiles(disk.copy()))).state
    for path, content in disk.files().items():
        if not path.rpartition("/")[2].startswith(names):
            continue
        for at in range(0, len(content), step):
            for name, data in _damages(content, at):
                hurt = disk.copy()
                folder, _, file = path.rpartition("/")
                hurt.inodes[hurt.folders[folder].names[file]].data[:] = data
                tally.add(_refused_or_same(hurt, state), f"{name} at {at} of {file}")
    return tally


def _damages(content: bytes, at: int) -> Iterator[tuple[str, bytes]]:
    yield "flip", content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]
    yield "zero", content[:at] + b"\0" + content[at + 1 :]
    yield "cut", content[:at]


def _refused_or_same(disk: Disk, state: object) -> str:
    store = local(DiskFiles(disk))
    try:
        found = open_store(store).state
    except StoreDamaged as error:
        if not error.detail:
            return "refused without a reason"
        good = [kept for kept in repair.inspect(store).kept if kept.reason is None]
        if not good:
            return "no way out is left"
        repaired = repair.restore(store, good[0].key, HOLDER).state
        return "" if open_store(store).state == repaired else "the repair did not hold"
    except StoreError as error:
        return "" if error.detail else "refused without a reason"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if found == state else "silently another state"


def rivals(histories: int, seed: int, root: Path, clients: int = 3, rounds: int = 4) -> Tally:
    """Let several appliers work on one state at once, with locks taken away and writes failing; check each history.

    Every client raises one counter by one, under the lock. Linearizable means: what was acknowledged has numbers of its own, in the
    order of the serials, and none is lost.
    """
    tally = Tally()
    for number in range(histories):
        tally.add(
            _history(root / f"h{number}", random.Random(seed * 100_003 + number), clients, rounds), f"history {number}"
        )
    return tally


class _Flaky(Files):
    """Real files whose changing operations fail now and then."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self._rng, self._rate = rng, rate

    def sync_data(self, fd: int) -> None:
        self._maybe()
        super().sync_data(fd)

    def replace(self, source: Path, target: Path) -> None:
        self._maybe()
        super().replace(source, target)

    def _maybe(self) -> None:
        chance = self._rng.random()
        if chance < self._rate:
            raise OSError(errno.EIO, "injected")
        if chance < 0.3:
            time.sleep(self._rng.random() * 0.003)  # lets the others run in the middle of it


@dataclass
class _Ledger:
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    doubtful: int = 0
    problems: list[str] = field(default_factory=list)


def _history(root: Path, rng: random.Random, clients: int, rounds: int) -> str:
    Ledger(LocalStore({}, root, "default")).initialise("lineage")
    book, mutex = _Ledger(), threading.Lock()
    threads = [
        threading.Thread(target=_client, args=(root, name, rounds, random.Random(rng.random()), book, mutex))
        for name in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if book.problems:
        return book.problems[0]
    return _linear(root, book)


def _client(root: Path, name: int, rounds: int, rng: random.Random, book: _Ledger, mutex: threading.Lock) -> None:
    for turn in range(rounds):
        ledger = Ledger(LocalStore({}, root, "default", _Flaky(rng, 0.06)))
        run = f"c{name}.{turn}"
        try:
            if rng.random() < 0.15:
                ledger.break_lock()
            session = ledger.begin(run, Holder(f"c{name}", "box", name, 1.0, "apply", run), "apply", timeout=10.0)
        except (StoreError, OSError) as error:
            if isinstance(error, StoreDamaged):
                with mutex:
                    book.problems.append(f"damaged: {error}")
            continue
        begun = False
        try:
            with session:
                present = session.record("counter")
                value = int(present.attributes["value"]) + 1 if present else 1
                begun = True
                session.put_record(Record("counter", "thing", {"value": value, "by": run}))
                session.decision("counter", run, str(value))
                if rng.random() < 0.2:
                    with mutex:
                        book.acknowledged.append((session.state.serial, value))
                    continue  # leaves its run open, as a killed one does
                state = session.end("done")
            with mutex:
                book.acknowledged.append((state.serial, value))
        except StoreDamaged as error:
            with mutex:
                book.problems.append(f"damaged: {error}")
        except (StoreError, LockHeld):
            with mutex:
                book.doubtful += begun


def _linear(root: Path, book: _Ledger) -> str:
    state = open_store(LocalStore({}, root, "default")).state
    present = state.records.get("counter")
    final = int(present.attributes["value"]) if present else 0
    values = [value for _, value in book.acknowledged]
    if len(set(values)) != len(values):
        return f"two clients were told the same number: {sorted(values)}"
    if values and max(values) > final:
        return f"an acknowledged number is lost: {max(values)} > {final}"
    if not len(values) <= final <= len(values) + book.doubtful:
        return f"{final} at the end, {len(values)} acknowledged, {book.doubtful} in doubt"
    written = [line.summary.partition(": ")[2] for line in state.history if line.address == "counter"]
    if written != sorted(set(written), key=int) or not {str(value) for value in values} <= set(written):
        return f"the audit log tells another story: {written}"  # a number in doubt may lack its line
    ordered = [value for _, value in sorted(book.acknowledged)]
    return "" if ordered == sorted(ordered) else "serials and numbers are not in the same order"
