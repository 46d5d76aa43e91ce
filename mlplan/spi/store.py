"""Stores of bytes with compare-and-swap and locks. A store does not know what the bytes mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mlplan.spi.schema import BlockSchema


class StoreError(Exception):
    """A store could not read or write. The run that sees it stops: what is on disk stays as it is."""

    def __init__(self, summary: str, detail: str = "") -> None:
        super().__init__(f"{summary}: {detail}" if detail else summary)
        self.summary = summary
        self.detail = detail


class StoreDamaged(StoreError):  # noqa: N818  (the word of the messages)
    """What is stored is not what was written: emptied, edited, cut, or absent after init."""


class Conflict(StoreError):  # noqa: N818  (the word of the messages)
    """Somebody else wrote in between, or the lock was lost."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. Units: `since` seconds since the epoch."""

    who: str
    host: str
    pid: int
    since: float
    operation: str
    run: str


class LockHeld(StoreError):  # noqa: N818  (the word of the messages)
    """Another run holds the lock."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__("State is locked")
        self.holder = holder


@dataclass(frozen=True)
class Head:
    """A sealed snapshot: `document` bytes at `serial`; `tag` is the store's own version mark for compare-and-swap."""

    serial: int
    document: bytes
    tag: str


class Lock(Protocol):
    """A held lock. Its fence goes into every write, so that a holder that lost it changes nothing."""

    fence: int

    def verify(self) -> None:
        """Raise Conflict when this lock is not in force any more."""
        ...

    def release(self) -> None:
        """Give the lock back; harmless when already lost."""
        ...


class Store(Protocol):
    """One state of one workspace."""

    def exists(self) -> bool:
        """Tell whether this state was ever initialised, even if its document is damaged now."""
        ...

    def initialise(self, document: bytes, serial: int = 0) -> None:
        """Write the first document; Conflict when there is one already. serial: above 0 only for a state that moves
        here from another store."""
        ...

    def read_head(self) -> Head:
        """Return the newest sealed snapshot; StoreDamaged when it is absent, empty or unreadable."""
        ...

    def read_log(self, serial: int) -> Iterator[bytes]:
        """Yield the log lines appended after snapshot `serial`, in order, without line ends. A torn last line is dropped by the
        caller's codec, not here."""
        ...

    def append(self, serial: int, line: bytes, lock: Lock) -> None:
        """Append one line to the log of `serial` and return when it is durable. Raises Conflict when the lock was lost."""
        ...

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: Lock) -> Head:
        """Replace the head durably if it is still `expected`, keep the old one in the history, start a new log."""
        ...

    def history(self) -> list[tuple[int, str]]:
        """Return (serial, key) of kept snapshots, newest first."""
        ...

    def read_history(self, key: str) -> bytes:
        """Return a kept snapshot; StoreDamaged when it is absent or not what was kept."""
        ...

    def keep_history(self, serial: int, document: bytes) -> str:
        """Keep a snapshot of another store that moves here, older than the head; return its key. The same again is
        fine."""
        ...

    def pin(self, key: str) -> None:
        """Keep a snapshot of the history for ever; StoreDamaged when it is absent or not what was kept."""
        ...

    def pinned(self) -> list[str]:
        """Return the keys of the history that are kept for ever."""
        ...

    def lock(self, holder: Holder, timeout: float) -> Lock:
        """Take the lock within `timeout` seconds or raise LockHeld."""
        ...

    def holder(self) -> Holder | None:
        """Return who holds the lock now, None when nobody does. Takes nothing and waits for nothing."""
        ...

    def break_lock(self) -> Holder | None:
        """Raise the fence so that the present holder can write nothing more; return who it was."""
        ...

    def read_damaged_log(self, serial: int) -> Iterator[bytes]:
        """Yield what there is of the log of `serial`, whatever is wrong with it. For repair alone."""
        ...

    def next_serial(self) -> int:
        """Return a serial higher than everything that was ever here, as far as the store can tell. For repair alone."""
        ...

    def replace_damaged(self, document: bytes, serial: int, lock: Lock) -> Head:
        """Put `document` in place of a head that cannot be read or is not wanted, and start a new log; what was there is
        set aside, not thrown away. serial: `next_serial()` or higher. For repair alone."""
        ...

    def put_blob(self, key: str, data: bytes) -> None:
        """Store `data` under a content key; the same key again is fine."""
        ...

    def get_blob(self, key: str) -> bytes | None:
        """Return a blob, or None; StoreDamaged when it is not what was stored."""
        ...

    def blobs(self) -> Iterator[str]:
        """Yield the keys of all blobs, in any order, so that a state can move to another store."""
        ...


@runtime_checkable
class WorkspaceStore(Protocol):
    """What a store offers besides, when it can tell which workspaces it has and remove one."""

    def workspaces(self) -> list[str]:
        """Return the workspaces that have a state, sorted."""
        ...

    def remove(self, lock: Lock) -> None:
        """Remove this workspace, its history included; its lock goes with it. Conflict when the lock was lost."""
        ...


class StoreFactory(Protocol):
    """What the entry point group `mlplan.stores` names."""

    schema: BlockSchema

    def __call__(self, settings: Mapping[str, Any], root: Path, workspace: str) -> Store:
        """Return the store with the decoded arguments of its `backend` block."""
        ...
