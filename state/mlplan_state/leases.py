"""Locks for stores that cannot know whether a holder lives: a note that the holder keeps changing.

The note says who holds the lock, with which fence, and a beat counter that the holder raises now and then. A note whose
counter has not moved for `stale_after` seconds on the observer's own clock is given up; clocks of two machines are
never compared. A holder on this very machine whose process is gone is given up at once. That a lost holder writes
nothing more is not the business of the note: every write of the store carries the fence.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from mlplan.spi.store import Conflict, Holder, LockHeld, StoreError

STALE_AFTER = 90.0
BEATS = 6
"""Beats within `STALE_AFTER`: five may be lost before anybody gives the holder up."""
SHORTEST_WAIT, LONGEST_WAIT = 0.1, 2.0
"""Seconds between two looks at a held lock."""


@dataclass(frozen=True)
class Note:
    """What stands in the store about the lock. condition: "held", "free", "broken". origin: the holder's process, for
    observers on the same machine. nonce: tells a write of ours that came through twice from one of somebody else."""

    condition: str
    fence: int
    beat: int
    holder: Holder | None
    origin: str = ""
    nonce: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Note:
        """Return the note of its JSON. Raises: KeyError, TypeError, ValueError."""
        holder = Holder(**document["holder"]) if document["holder"] else None
        return cls(
            str(document["condition"]), int(document["fence"]), int(document["beat"]), holder,
            str(document["origin"]), str(document["nonce"]),
        )  # fmt: skip


class Cell(Protocol):
    """The place of the note, with compare-and-swap."""

    def read(self) -> tuple[Note | None, Any]:
        """Return the note and its version mark; None when there never was one."""
        ...

    def write(self, note: Note, mark: Any) -> Any:
        """Replace the note if its version is still `mark` (None: if there is none); return the new mark, or None when
        somebody else was faster."""
        ...


class LeaseLock:
    """A held lock with a heart. The store sets `broken` after a failed write: then nothing more is written."""

    def __init__(self, cell: Cell, note: Note, mark: Any, every: float) -> None:
        self.fence = note.fence
        self.broken: BaseException | None = None
        self.facts: Any = None
        """What the store itself remembers for this lock."""
        self._cell, self._note, self._mark = cell, note, mark
        self._lost = self._released = False
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._every = every
        self._heart = threading.Thread(target=self._beat, name="mlplan-lock", daemon=True)
        self._heart.start()

    def lose(self) -> None:
        """Remember that the lock is lost, and stop the heart."""
        self._lost = True
        self._stop.set()

    def verify(self) -> None:
        """Raise Conflict when the lock is known to be lost or given back. That it is not known proves nothing."""
        if self._released:
            raise Conflict("The lock was given back", "A run that has ended cannot write any more.")
        if self._lost:
            raise taken_away()

    def release(self) -> None:
        """Give the lock back; harmless when it is lost or was given back before."""
        self._stop.set()
        with self._mutex:
            if self._released:
                return
            self._released = True
            if not self._lost:
                try:
                    self._cell.write(replace(self._note, condition="free", beat=self._note.beat + 1), self._mark)
                except StoreError:
                    return  # the note stays; without a heart it is given up by whoever wants the lock next
        self._heart.join(1.0)

    def _beat(self) -> None:
        while not self._stop.wait(self._every):
            with self._mutex:
                if self._released or self._lost:
                    return
                note = replace(self._note, beat=self._note.beat + 1)
                try:
                    mark = self._cell.write(note, self._mark)
                    if mark is None and not self._ours(note):
                        self.lose()
                        return
                except StoreError:
                    continue  # the line is down; the next beat tries again, and the fence guards the writes
                if mark is not None:
                    self._note, self._mark = note, mark

    def _ours(self, note: Note) -> bool:
        """Tell whether a write that seemed to fail arrived: its answer was lost, or the client sent it twice."""
        found, mark = self._cell.read()
        if found is None or (found.fence, found.condition, found.nonce) != (note.fence, note.condition, note.nonce):
            return False
        self._note, self._mark = found, mark
        return True


def taken_away() -> Conflict:
    """Return the error of a holder that lost its lock."""
    return Conflict(
        "The lock was taken away",
        "Somebody ran force-unlock while this run held it, or this run did not answer for too long. It writes nothing "
        "more; the next one goes on from here.",
    )


def take(
    cell: Cell,
    holder: Holder,
    timeout: float,
    stale_after: float = STALE_AFTER,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> LeaseLock:
    """Take the lock within `timeout` seconds. Raises: LockHeld with its holder, StoreError."""
    deadline = clock() + timeout
    seen: Note | None = None
    since = clock()
    wait = SHORTEST_WAIT
    while True:
        note, mark = cell.read()
        if note is None or seen is None or (note.fence, note.beat) != (seen.fence, seen.beat):
            seen, since = note, clock()
        if note is None or note.condition != "held" or clock() - since >= stale_after or is_dead(note.origin):
            mine = Note("held", (note.fence if note else 0) + 1, 0, holder, origin(), secrets.token_hex(8))
            written = cell.write(mine, mark if note else None)
            if written is None:
                found, again = cell.read()
                if found == mine:  # the answer was lost, not the request
                    written = again
            if written is not None:
                return LeaseLock(cell, mine, written, stale_after / BEATS)
            continue  # somebody was faster: look who it is
        remaining = deadline - clock()
        if remaining <= 0:
            raise LockHeld(note.holder)
        sleep(min(wait, remaining))
        wait = min(wait * 2, LONGEST_WAIT)


def take_away(cell: Cell) -> tuple[Note, Holder | None]:
    """Raise the fence whoever holds the lock; return the new note and who it was, None when nobody held it."""
    while True:
        note, mark = cell.read()
        before = note or Note("free", 0, 0, None)
        broken = Note("broken", before.fence + 1, 0, before.holder, "", secrets.token_hex(8))
        if cell.write(broken, mark if note else None) is not None or cell.read()[0] == broken:
            return broken, before.holder if before.condition == "held" else None


@contextmanager
def writing(held: LeaseLock) -> Iterator[None]:
    """Check a lock before a write; a write that fails for another reason than a conflict ends what the lock may do."""
    held.verify()
    if held.broken is not None:
        raise StoreError("State could not be written", f"An earlier write failed: {held.broken}")
    try:
        yield
    except Conflict:
        held.lose()
        raise
    except BaseException as error:
        held.broken = error
        raise


def origin() -> str:
    """Return what names this process on this machine until it ends, "" where that cannot be told."""
    try:
        return f"{_machine()}|{os.getpid()}|{_birth(os.getpid())}"
    except (OSError, IndexError):
        return ""


def is_dead(process: str) -> bool:
    """Tell whether `process`, an `origin`, surely has ended: it was of this machine, and is not there any more."""
    machine, _, rest = process.partition("|")
    number, _, birth = rest.partition("|")
    try:
        if not birth or machine != _machine():
            return False
    except OSError:
        return False
    try:
        return _birth(int(number)) != birth
    except FileNotFoundError:
        return True
    except (OSError, ValueError, IndexError):
        return False


def _machine() -> str:
    """Return what is the same for two processes that see each other: one boot, one namespace of process numbers."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"


def _birth(number: int) -> str:
    """Return when a process began, in ticks since boot; "dead" for one that only waits to be collected."""
    with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return "dead" if fields[0] in "ZX" else fields[19]
