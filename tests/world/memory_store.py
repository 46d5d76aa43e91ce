"""A store in memory: what the engine's tests write to, so that a hundred runs take no disk. The real stores have their own kit."""

from __future__ import annotations

from collections.abc import Iterator

from mlplan.spi.store import Conflict, Head, Holder, LockHeld, StoreDamaged


class MemoryLock:
    """A lock of `MemoryStore`."""

    def __init__(self, store: MemoryStore, fence: int) -> None:
        self._store = store
        self.fence = fence

    def release(self) -> None:
        if self._store.fence == self.fence:
            self._store.holder = None


class MemoryStore:
    """One state of one workspace, gone with the process."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.logs: dict[int, list[bytes]] = {}
        self.kept: list[tuple[int, bytes]] = []
        self.blobs: dict[str, bytes] = {}
        self.holder: Holder | None = None
        self.fence = 0

    def exists(self) -> bool:
        return self.head is not None

    def initialise(self, document: bytes) -> None:
        if self.head is not None:
            raise Conflict("There is a state already")
        self.head = Head(0, document, "0")

    def read_head(self) -> Head:
        if self.head is None:
            raise StoreDamaged("The state is gone")
        return self.head

    def read_log(self, serial: int) -> Iterator[bytes]:
        return iter(list(self.logs.get(serial, ())))

    def append(self, serial: int, line: bytes, lock: MemoryLock) -> None:
        if lock.fence != self.fence:
            raise Conflict("The lock was lost")
        self.logs.setdefault(serial, []).extend(line.split(b"\n"))

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: MemoryLock) -> Head:
        if lock.fence != self.fence or self.head != expected:
            raise Conflict("Somebody else wrote")
        self.kept.append((expected.serial, expected.document))
        self.head = Head(serial, document, str(serial))
        return self.head

    def history(self) -> list[tuple[int, str]]:
        return [(serial, str(serial)) for serial, _ in reversed(self.kept)]

    def read_history(self, key: str) -> bytes:
        return next(document for serial, document in self.kept if str(serial) == key)

    def lock(self, holder: Holder, timeout: float) -> MemoryLock:
        if self.holder is not None:
            raise LockHeld(self.holder)
        self.holder = holder
        self.fence += 1
        return MemoryLock(self, self.fence)

    def break_lock(self) -> Holder | None:
        holder, self.holder = self.holder, None
        self.fence += 1
        return holder

    def put_blob(self, key: str, data: bytes) -> None:
        self.blobs[key] = data

    def get_blob(self, key: str) -> bytes | None:
        return self.blobs.get(key)
