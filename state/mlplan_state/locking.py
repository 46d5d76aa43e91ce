"""The lock of a local state: flock on a file that also says, for people, who holds it; and the fence.

A holder proves that it still holds the lock by the identity of the file: `break_lock` puts a new file in its place. A
holder that was stopped in the middle of something and wakes up later finds another file there, before and after each
write. What it may have under way is taken from it by the next holder: temporary files are removed, so its renames
fail, and the journal moves to a new file, so its late writes go nowhere. flock ends with its process: a holder that
died holds nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlplan.spi.store import Conflict, Holder, LockHeld
from mlplan_state.files import Files, never_a_file, write_durably
from mlplan_state.journal import Journal

BLOCK = 1024
"""Bytes of the lock file, always the same, so that it is rewritten in one piece."""
SHORTEST_WAIT, LONGEST_WAIT = 0.02, 0.25
"""Seconds between two tries to get the lock."""
GRACE = 0.06
"""Seconds tried even by who does not want to wait: somebody may be looking who holds it, which takes it for a blink."""


@dataclass(frozen=True)
class Note:
    """What the lock file says. condition: "held", "free" (given back), "broken" (taken away), "none" (nothing
    readable).
    """

    condition: str
    fence: int
    holder: Holder | None


def read_note(files: Files, path: Path) -> Note:
    """Return what the lock file says; a torn or absent one says nothing."""
    try:
        document: dict[str, Any] = json.loads(files.read(path, 64 * BLOCK))
        holder = Holder(**document["holder"]) if document["holder"] else None
        return Note(str(document["condition"]), int(document["fence"]), holder)
    except (OSError, ValueError, KeyError, TypeError):
        return Note("none", 0, None)


def _block(note: Note) -> bytes:
    holder = asdict(note.holder) if note.holder else None
    if holder is not None:
        holder = {key: value[:120] if isinstance(value, str) else value for key, value in holder.items()}
    text = json.dumps({"condition": note.condition, "fence": note.fence, "holder": holder}, ensure_ascii=True)
    return text.encode().ljust(BLOCK - 1) + b"\n"


class LocalLock:
    """A held lock. Raises Conflict from `verify` once it was taken away."""

    def __init__(self, files: Files, path: Path, fd: int, note: Note, previous: Note) -> None:
        self.fence = note.fence
        self.previous = previous
        self.broken: BaseException | None = None
        self.journal: Journal | None = None
        self._files = files
        self._path = path
        self._fd: int | None = fd
        self._note = note
        self._closers: list[Callable[[], None]] = []

    def verify(self) -> None:
        """Raise Conflict unless this lock is still the one in force."""
        if self._fd is None:
            raise Conflict("The lock was given back", "A run that has ended cannot write any more.")
        if self._files.identity(self._path) != self._files.identity(self._fd):
            raise Conflict(
                "The lock was taken away",
                "Somebody ran force-unlock while this run held it. This run writes nothing more; "
                "the next one goes on from here.",
            )

    def temporary(self, path: Path) -> Path:
        """Return a name beside `path` that belongs to this lock alone."""
        return path.with_name(f"{path.name}.{self.fence}-{secrets.token_hex(4)}.tmp")

    def when_released(self, close: Callable[[], None]) -> None:
        """Call `close` when the lock is given back."""
        self._closers.append(close)

    def release(self) -> None:
        """Give the lock back; harmless when it is lost or was given back before."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        for close in self._closers:
            close()
        # The word "free" is a courtesy: closing the file frees the lock, and without the word the next holder looks
        # closer.
        with contextlib.suppress(OSError):
            if self.broken is None:
                self._files.write_at(fd, _block(Note("free", self.fence, self._note.holder)), 0)
        self._files.close(fd)


def take(files: Files, path: Path, holder: Holder, timeout: float) -> LocalLock:
    """Take the lock within `timeout` seconds. Raises: LockHeld with its holder, OSError."""
    deadline = time.monotonic() + max(timeout, GRACE)
    wait = SHORTEST_WAIT
    while True:
        fd = _try(files, path)
        if fd is not None:
            break
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise LockHeld(read_note(files, path).holder)
        time.sleep(min(wait, remaining))
        wait = min(wait * 2, LONGEST_WAIT)
    try:
        previous = read_note(files, path)
        note = Note("held", previous.fence + 1, holder)
        files.write_at(fd, _block(note), 0)
        files.sync(fd)
    except BaseException:
        files.close(fd)
        raise
    return LocalLock(files, path, fd, note, previous)


def renew(files: Files, path: Path, lock: LocalLock) -> None:
    """Put a copy in place of a journal, so that late writes of a former holder go nowhere. Raises: Conflict, OSError."""
    try:
        data = files.read(path)
    except OSError as error:
        if not never_a_file(error):
            raise
        return  # nobody appends to it either; reading it is refused, and repair sets it aside
    temporary = lock.temporary(path)
    write_durably(files, temporary, data)
    lock.verify()
    files.replace(temporary, path)
    files.sync_folder(path.parent)


def _try(files: Files, path: Path) -> int | None:
    fd = files.open(path, os.O_RDWR | os.O_CREAT)
    try:
        # Between open and flock another file may have come to stand at this path; then this flock guards nothing.
        if files.try_lock(fd) and files.identity(path) == files.identity(fd):
            return fd
    except BaseException:
        files.close(fd)
        raise
    files.close(fd)
    return None


def present(files: Files, path: Path) -> Holder | None:
    """Return who holds the lock; None when it is free, also by the death of its holder."""
    if not files.exists(path):
        return None
    fd = files.open(path, os.O_RDWR)
    try:
        # Taken for a blink only; who tries at the same moment tries again after its shortest wait.
        if files.try_lock(fd):
            return None
    finally:
        files.close(fd)
    note = read_note(files, path)
    return note.holder if note.condition == "held" else None


def take_away(files: Files, path: Path) -> Holder | None:
    """Put a new lock file in place, so that the present holder can write nothing more; return who it was."""
    note = read_note(files, path)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    fd = files.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        files.write_at(fd, _block(Note("broken", note.fence + 1, note.holder)), 0)
        files.sync(fd)
    finally:
        files.close(fd)
    files.replace(temporary, path)
    files.sync_folder(path.parent)
    return note.holder if note.condition == "held" else None
