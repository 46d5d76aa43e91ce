"""The local store: one folder a workspace, `state.json`, a journal, a history and a lock. It does not know what the
bytes mean, except the number after `"serial":` in the first kilobyte of a document.

Order of a replacement: history → state.json.tmp, synced → renamed → folder synced → new journal, synced → old journal
removed. Any error there ends the run; a sync is never tried twice, since the second one would succeed without having
written.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlplan.spi.schema import STRING, Argument, BlockSchema
from mlplan.spi.store import Conflict, Head, Holder, Lock, StoreDamaged, StoreError
from mlplan_state import locking
from mlplan_state.blobs import Blobs
from mlplan_state.common import check_workspace, is_workspace, serial_of, tag_of
from mlplan_state.files import Files, never_a_file, write_durably
from mlplan_state.history import History
from mlplan_state.journal import Journal, check_journal, journal_path
from mlplan_state.locking import LocalLock

DEFAULT_FOLDER = ".mlplan/state"
_JOURNAL = re.compile(r"journal\.(\d{1,15})\.jsonl")


class LocalStore:
    """A store in a folder. Thread-safe. Units: bytes are whatever the ledger writes."""

    schema = BlockSchema(
        description="State in a folder of the project.",
        arguments={"path": Argument(STRING, "Folder, relative to the project.", default=DEFAULT_FOLDER)},
    )

    def __init__(
        self,
        settings: Mapping[str, Any],
        root: Path,
        workspace: str,
        files: Files | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(root) / str(settings.get("path") or DEFAULT_FOLDER) / check_workspace(workspace)
        self._files = files or Files()
        self._clock = clock
        self._mutex = threading.RLock()
        self._history = History(self._files, self.folder / "history")
        self._blobs = Blobs(self._files, self.folder / "blobs")
        self._state = self.folder / "state.json"
        self._marker = self.folder / "initialised"
        self._lock_file = self.folder / "lock"

    def exists(self) -> bool:
        """Tell whether this state was ever initialised, even if its document is damaged now."""
        return (
            self._files.exists(self._marker)
            or self._files.exists(self._state)
            or self._history.newest() >= 0
            or bool(self._journals())
        )

    def initialise(self, document: bytes, serial: int = 0) -> None:
        """Write the first document. Raises: Conflict when there is a state already, even a damaged one."""
        if serial_of(document) != serial:
            raise StoreError("Not a first document", f"The first document of this state has serial {serial}.")
        with self._mutex, self._guard(None, self.folder):
            self._files.make_folder(self.folder)
            lock = locking.take(self._files, self._lock_file, _initialiser(self._clock()), 5.0)
            try:
                if self.exists():
                    raise Conflict("State exists already", f"{self.folder} holds a state; nothing was changed.")
                temporary = lock.temporary(self._state)
                write_durably(self._files, temporary, document)
                self._first(temporary)
                self._files.sync_folder(self.folder)
                Journal.create(self._files, self.folder, serial)
                self._mark()
                self._history.keep(serial, document, lock.temporary(self.folder / f"history-{serial}"))
            finally:
                lock.release()

    def _first(self, temporary: Path) -> None:
        """Give the first document its name, never over another one: this process may have slept, its lock be lost."""
        try:
            self._files.link(temporary, self._state)
        except FileExistsError:
            raise Conflict("State exists already", f"{self.folder} holds a state; nothing was changed.") from None
        self._files.unlink(temporary)

    def read_head(self) -> Head:
        """Return the newest snapshot. Raises: StoreDamaged when it is absent, empty, cut short or older
        than the history.
        """
        while True:
            head = self._read_state()
            newest = self._history.newest()
            if newest <= head.serial + 1:
                return head
            if self._read_state().tag == head.tag:  # else a writer was at work between the two looks
                raise StoreDamaged(
                    "State document is older than the history",
                    f"{self._state} has serial {head.serial}, the history has {newest}: an old copy "
                    "was put in its place.",
                )

    def _read_state(self) -> Head:
        with self._guard(None, self._state):
            try:
                document = self._files.read(self._state)
            except FileNotFoundError:
                if not self.exists():
                    raise StoreError("No state", f"{self.folder} was never initialised. Run mlplan init.") from None
                raise StoreDamaged(
                    "State document is gone", f"{self._state} existed after init and is absent."
                ) from None
            except ValueError as error:
                raise StoreDamaged("State document is too large", str(error)) from None
            except OSError as error:
                if not never_a_file(error):
                    raise
                raise StoreDamaged("State document is no file", f"{self._state}: {error.strerror}.") from None
        if not document.strip():
            raise StoreDamaged("State document is empty", f"{self._state} is empty; a state is never empty after init.")
        serial = serial_of(document)
        if serial is None:
            raise StoreDamaged("State document is unreadable", f"{self._state} does not say its serial: cut or edited.")
        return Head(serial, document, tag_of(document))

    def read_log(self, serial: int) -> Iterator[bytes]:
        """Yield the lines after snapshot `serial`. Raises: StoreDamaged when acknowledged lines are
        missing or altered.
        """
        with self._guard(None, self.folder):
            try:
                data = check_journal(self._files, self.folder, serial)
            except FileNotFoundError:
                # The journal of a snapshot is made before the snapshot after it is kept.
                if self._history.newest() > serial and self._read_state().serial == serial:
                    raise StoreDamaged(
                        "Journal is gone", f"The journal of serial {serial} in {self.folder} is absent."
                    ) from None
                return
        yield from _lines(data)

    def read_damaged_log(self, serial: int) -> Iterator[bytes]:
        """Yield what there is of a log, whatever is wrong with it. For repair alone."""
        with self._guard(None, self.folder):
            data = self._readable(journal_path(self.folder, serial))
        yield from _lines(data)

    def _readable(self, path: Path) -> bytes:
        """Return what a file holds, nothing when there is none. For repair alone."""
        return self._files.read(path) if self._files.is_file(path) else b""

    def append(self, serial: int, line: bytes, lock: Lock) -> None:
        """Append a line, or several joined by line ends, and return when they are durable. Raises:
        Conflict, StoreError.
        """
        held = _ours(lock)
        with self._mutex, self._guard(held, self.folder):
            journal = self._journal(serial, held)
            held.verify()
            journal.append(line, held.verify)

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: Lock) -> Head:
        """Replace the head if it is still `expected`. Raises: Conflict, StoreError (then either head may
        be there, whole).
        """
        held = _ours(lock)
        if serial_of(document) != serial or serial <= expected.serial:
            raise StoreError("Wrong serial", f"Serial {serial} cannot follow {expected.serial} with this document.")
        with self._mutex, self._guard(held, self._state):
            held.verify()
            if self._read_state().tag != expected.tag:
                raise Conflict(
                    "State was changed by somebody else", f"{self._state} is not at serial {expected.serial} any more."
                )
            self._journal(expected.serial, held)
            self._put(document, serial, held)
            return Head(serial, document, tag_of(document))

    def replace_damaged(self, document: bytes, serial: int, lock: Lock) -> Head:
        """Put `document` in place of a head that cannot be read; what was there is kept beside it. For repair alone."""
        held = _ours(lock)
        with self._mutex, self._guard(held, self._state):
            held.verify()
            if serial_of(document) != serial or serial < self.next_serial():
                raise StoreError("Wrong serial", f"The document must have serial {self.next_serial()} or higher.")
            self._set_aside()
            self._put(document, serial, held)
            return Head(serial, document, tag_of(document))

    def next_serial(self) -> int:
        """Return a serial higher than everything that was ever here, as far as the files tell. For repair alone."""
        with self._guard(None, self.folder):
            state = self._readable(self._state)
            return max(serial_of(state) or 0, self._history.newest(), *self._journals(), 0) + 1

    def _journals(self) -> list[int]:
        return [int(m[1]) for m in map(_JOURNAL.fullmatch, self._files.names(self.folder)) if m]

    def _set_aside(self) -> None:
        folder = self.folder / "damaged"
        self._files.make_folder(folder)
        stamp = f"{int(self._clock())}-{secrets.token_hex(4)}"
        for path in (self._state, *(journal_path(self.folder, serial) for serial in self._journals())):
            if self._files.is_file(path):
                self._files.link(path, folder / f"{stamp}-{path.name}")
            elif self._files.exists(path):
                self._files.replace(path, folder / f"{stamp}-{path.name}")
        self._files.sync_folder(folder)

    def _put(self, document: bytes, serial: int, held: LocalLock) -> None:
        if self._files.exists(journal_path(self.folder, serial)):
            raise StoreDamaged(
                "A journal of a later snapshot is there",
                f"{self.folder} holds journal.{serial}.jsonl: an old state.json was put in place of a newer one.",
            )
        self._history.keep(serial, document, held.temporary(self.folder / f"history-{serial}"))
        temporary = held.temporary(self._state)
        write_durably(self._files, temporary, document)
        held.verify()
        self._files.replace(temporary, self._state)
        self._files.sync_folder(self.folder)
        try:
            Journal.create(self._files, self.folder, serial)
        except FileExistsError:
            raise Conflict("The lock was taken away", "Another run has gone on from here.") from None
        for older in self._journals():
            if older < serial:
                self._files.unlink(journal_path(self.folder, older))
        self._history.prune(self._clock())

    def history(self) -> list[tuple[int, str]]:
        """Return (serial, key) of kept snapshots, newest first."""
        with self._guard(None, self.folder):
            return self._history.entries()

    def read_history(self, key: str) -> bytes:
        """Return a kept snapshot. Raises: StoreDamaged."""
        with self._guard(None, self.folder):
            return self._history.read(key)

    def keep_history(self, serial: int, document: bytes) -> str:
        """Keep an older snapshot that comes from another store; return its key. Raises: StoreError."""
        if serial_of(document) != serial:
            raise StoreError("Wrong serial", f"This is not the document of serial {serial}.")
        with self._mutex, self._guard(None, self.folder):
            temporary = self.folder / f"history-{serial}.{secrets.token_hex(4)}.tmp"
            return self._history.keep(serial, document, temporary)

    def pinned(self) -> list[str]:
        """Return the keys of snapshots that are kept for ever."""
        with self._guard(None, self.folder):
            return self._history.pinned()

    def pin(self, key: str) -> None:
        """Keep a snapshot for ever. Raises: StoreDamaged when it is not there or not whole."""
        with self._guard(None, self.folder):
            self._history.pin(key)

    def lock(self, holder: Holder, timeout: float) -> LocalLock:
        """Take the lock within `timeout` seconds. Raises: LockHeld, StoreError."""
        with self._guard(None, self._lock_file):
            self._files.make_folder(self.folder)
            lock = locking.take(self._files, self._lock_file, holder, timeout)
            try:
                self._take_over(lock)
            except BaseException as error:
                lock.broken = error  # not "free": the next holder has to take over as well
                lock.release()
                raise
            return lock

    def _take_over(self, lock: LocalLock) -> None:
        """Leave nothing behind with which a former holder, asleep now, could still write."""
        for folder in (self.folder, self.folder / "history"):
            for name in self._files.names(folder):
                if name.endswith(".tmp"):
                    self._files.unlink(folder / name)
        if lock.previous.condition != "free":
            for serial in self._journals():
                locking.renew(self._files, journal_path(self.folder, serial), lock)
        if self._files.exists(self._state) and not self._files.exists(self._marker):
            self._mark()

    def holder(self) -> Holder | None:
        """Return who holds the lock now, None when nobody does."""
        with self._guard(None, self._lock_file):
            return locking.present(self._files, self._lock_file)

    def break_lock(self) -> Holder | None:
        """Take the lock away from its holder; return who it was, None when nobody held it."""
        with self._guard(None, self._lock_file):
            return locking.take_away(self._files, self._lock_file)

    def put_blob(self, key: str, data: bytes) -> None:
        """Store `data` under a content key. Raises: StoreError when the key is a SHA-256 of something else."""
        with self._mutex, self._guard(None, self.folder):
            self._blobs.put(key, data)

    def get_blob(self, key: str) -> bytes | None:
        """Return a blob, or None. Raises: StoreDamaged when it is not what its key says."""
        with self._guard(None, self.folder):
            return self._blobs.get(key)

    def blobs(self) -> Iterator[str]:
        """Yield the keys of all blobs. Raises: StoreError."""
        with self._guard(None, self.folder):
            yield from self._blobs.keys()

    def workspaces(self) -> list[str]:
        """Return the workspaces that have a state here. Raises: StoreError."""
        parent = self.folder.parent
        with self._guard(None, parent):
            names = self._files.names(parent) if self._files.exists(parent) else []
            return sorted(
                name for name in names if is_workspace(name) and self._files.exists(parent / name / self._marker.name)
            )

    def remove(self, lock: Lock) -> None:
        """Remove this workspace with its history. The lock goes with it. Raises: Conflict, StoreError."""
        held = _ours(lock)
        with self._mutex, self._guard(held, self.folder):
            held.verify()
            # Renamed first: a kill in the middle leaves a whole state or none, never a half one. The name is no workspace.
            aside = self.folder.parent / f".removed-{self.folder.name}-{secrets.token_hex(4)}"
            self._files.replace(self.folder, aside)
            self._files.sync_folder(self.folder.parent)
            shutil.rmtree(aside)

    def _journal(self, serial: int, held: LocalLock) -> Journal:
        journal = held.journal
        if journal is None or journal.serial != serial:
            journal = Journal.open(self._files, self.folder, serial)
            held.journal = journal
            held.when_released(journal.close)
        return journal

    def _mark(self) -> None:
        fd = self._files.open(self._marker, os.O_WRONLY | os.O_CREAT)
        try:
            self._files.write(
                fd, b"A state was initialised here. If state.json is absent, it was lost: mlplan state repair\n"
            )
            self._files.sync(fd)
        finally:
            self._files.close(fd)
        self._files.sync_folder(self.folder)

    @contextmanager
    def _guard(self, held: LocalLock | None, path: Path) -> Iterator[None]:
        """Turn errors of the file system into StoreErrors; a failed write ends what its lock may do."""
        if held is not None and held.broken is not None:
            raise StoreError("State could not be written", f"An earlier write failed: {held.broken}")
        try:
            yield
        except OSError as error:
            if held is not None:
                held.broken = error
            doing = "written" if held is not None else "used"
            where = error.filename or path
            raise StoreError(
                f"State could not be {doing}",
                f"{where}: {error.strerror or error}. Nothing that was acknowledged is lost; "
                "put it right and run again.",
            ) from error


def _ours(lock: Lock) -> LocalLock:
    if not isinstance(lock, LocalLock):
        raise StoreError("Wrong lock", "The lock belongs to another kind of store.")
    return lock


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if not lines[-1] else lines


def _initialiser(now: float) -> Holder:
    import getpass
    import socket

    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        who = str(os.getuid())
    return Holder(who, socket.gethostname(), os.getpid(), now, "init", "")
