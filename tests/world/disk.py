"""A disk in memory that knows what is durable: the recording file layer, and the adversary that replays it after a power loss.

`Disk` keeps for each file its bytes as processes see them, its bytes as of its last sync, and the writes since; for each folder the
names as seen, the names as of its last sync, and the changes since. `image` draws what a power loss at this moment may leave: of what
was not synced any part may be there, in any order, torn at any byte, or grown with zeros in place of data; a rename whose folder was
not synced may be lost. That is harsher than ext4 or XFS: what holds here holds there.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlplan_state.files import READ_LIMIT, Files

KEPT_VERSIONS = 4


class Killed(BaseException):
    """The process died here. No cleanup of it has any effect afterwards."""


@dataclass
class Inode:
    """A file. pending: (offset, bytes) written since the last sync, or (size, None) for a truncation."""

    number: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    locked_by: tuple[int, int] | None = None
    modified: float = 0.0


@dataclass
class Folder:
    """Names. pending: groups of (name, inode or None) since the last sync; a group is there as a whole or not at all."""

    names: dict[str, int] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[list[tuple[str, int | None]]] = field(default_factory=list)


@dataclass
class Disk:
    """Everything that is stored. Folders exist as soon as they were made: losing one loses what is in it, which `pending` covers."""

    inodes: dict[int, Inode] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    clock: float = 1_790_000_000.0
    count: int = 0

    def new_inode(self) -> Inode:
        self.count += 1
        inode = Inode(self.count, modified=self.clock)
        self.inodes[self.count] = inode
        return inode

    def change(self, folder: str, *names: tuple[str, int | None]) -> None:
        here = self.folders[folder]
        for name, inode in names:
            if inode is None:
                here.names.pop(name, None)
            else:
                here.names[name] = inode
        here.pending.append(list(names))

    def copy(self) -> Disk:
        """Return the disk as another process finds it after this one was killed: what was written is there, locks are free."""
        inodes = {
            n: Inode(n, bytearray(i.data), i.durable, list(i.pending), None, i.modified) for n, i in self.inodes.items()
        }
        folders = {
            p: Folder(dict(f.names), dict(f.durable), [list(g) for g in f.pending]) for p, f in self.folders.items()
        }
        return Disk(inodes, folders, self.clock, self.count)

    def image(self, rng: random.Random) -> tuple[Disk, int]:
        """Return a disk as a power loss now may leave it, and a number that equal images share. Only for reading: copy it to write."""
        mood = rng.random()
        folders, drawn = {}, []
        for path, folder in self.folders.items():
            names = dict(folder.durable)
            for group in folder.pending:
                if mood < 0.15 or (mood < 0.85 and rng.random() < 0.5):
                    for name, inode in group:
                        if inode is None:
                            names.pop(name, None)
                        else:
                            names[name] = inode
            if folder.pending:
                drawn.append((path, frozenset(names.items())))
            folders[path] = Folder(names, dict(names))
        used = {number for folder in folders.values() for number in folder.names.values()}
        inodes = {}
        for number in used:
            inode = self.inodes[number]
            if not inode.pending:
                inodes[number] = inode
                continue
            data = bytes(inode.data) if mood < 0.05 else _torn(inode, rng)
            inodes[number] = Inode(number, bytearray(data), data, modified=inode.modified)
            drawn.append((str(number), frozenset([(data.hex(), 0)])))
        return Disk(inodes, folders, self.clock, self.count), hash(frozenset(drawn))

    def files(self) -> dict[str, bytes]:
        """Return path -> content, as a process sees it."""
        return {
            f"{path}/{name}": bytes(self.inodes[inode].data)
            for path, folder in self.folders.items()
            for name, inode in folder.names.items()
        }


def _torn(inode: Inode, rng: random.Random) -> bytes:
    data = bytearray(inode.durable)
    for offset, written in inode.pending:
        if written is None:
            if rng.random() < 0.5:
                del data[offset:]
            continue
        chance = rng.random()
        if chance < 0.35:
            continue
        part = written if chance < 0.6 else written[: rng.randrange(len(written) + 1)]
        if chance > 0.85:  # the size is there, the blocks are not
            part = b"\0" * len(written)
        if len(data) < offset:
            data += b"\0" * (offset - len(data))
        data[offset : offset + len(part)] = part
    return bytes(data)


class DiskFiles(Files):
    """`Files` over a `Disk`, for one process. before: called with the name of every operation that changes something, before it; what
    it raises happens instead.
    """

    def __init__(self, disk: Disk, before: Callable[[str, str], None] | None = None) -> None:
        self.disk = disk
        self.before = before or (lambda operation, path: None)
        self.after: Callable[[str, str], None] = lambda operation, path: None
        self._open: dict[int, tuple[Inode, int, str]] = {}
        self._next = 3
        self.dead = False

    def _step(self, operation: str, path: object) -> None:
        if self.dead:
            raise Killed
        self.before(operation, str(path))

    def _done(self, operation: str, path: object) -> None:
        self.after(operation, str(path))

    def make_folder(self, path: Path) -> None:
        for folder in reversed((path, *path.parents)):
            if str(folder) not in self.disk.folders:
                self._step("mkdir", folder)
                self.disk.folders.setdefault(str(folder), Folder())  # another process may have made it meanwhile

    def open(self, path: Path, flags: int) -> int:
        if self.dead:
            raise Killed
        folder = self.disk.folders.get(str(path.parent))
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(path))
        number = folder.names.get(path.name)
        if number is not None and flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        if number is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
            self._step("create", path)
            inode = self.disk.new_inode()
            self.disk.change(str(path.parent), (path.name, inode.number))
            self._done("create", path)
        else:
            inode = self.disk.inodes[number]
        if flags & os.O_TRUNC and inode.data:
            self._step("truncate", path)
            inode.data.clear()
            inode.pending.append((0, None))
        self._next += 1
        self._open[self._next] = (inode, flags, str(path))
        return self._next

    def close(self, fd: int) -> None:
        inode, _, _ = self._open.pop(fd)
        if inode.locked_by == (id(self), fd):
            inode.locked_by = None

    def write(self, fd: int, data: bytes) -> None:
        inode, _, path = self._open[fd]
        self._write(inode, path, data, len(inode.data), "write")

    def write_at(self, fd: int, data: bytes, offset: int) -> None:
        inode, _, path = self._open[fd]
        self._write(inode, path, data, offset, "write_at")

    def _write(self, inode: Inode, path: str, data: bytes, offset: int, operation: str) -> None:
        try:
            self._step(operation, path)
        except PartlyWritten as part:
            self._put(inode, data[: part.size % (len(data) + 1)], offset)
            raise part.error from None
        self._put(inode, data, offset)
        self._done(operation, path)

    def _put(self, inode: Inode, data: bytes, offset: int) -> None:
        if not data:
            return
        inode.data[offset : offset + len(data)] = data
        inode.pending.append((offset, data))
        same = [entry for entry in inode.pending if entry[0] == offset and entry[1] and len(entry[1]) == len(data)]
        if len(same) > KEPT_VERSIONS:  # of a block written in place again and again, the newest versions are enough
            inode.pending.remove(same[0])
        inode.modified = self.disk.clock

    def sync(self, fd: int) -> None:
        self._sync(fd, "sync")

    def sync_data(self, fd: int) -> None:
        self._sync(fd, "sync_data")

    def _sync(self, fd: int, operation: str) -> None:
        inode, _, path = self._open[fd]
        self._step(operation, path)
        inode.durable = bytes(inode.data)
        inode.pending.clear()
        self._done(operation, path)

    def sync_folder(self, path: Path) -> None:
        self._step("sync_folder", path)
        folder = self.disk.folders[str(path)]
        folder.durable = dict(folder.names)
        folder.pending.clear()
        self._done("sync_folder", path)

    def replace(self, source: Path, target: Path) -> None:
        self._step("replace", target)
        number = self._number(source)
        if source.parent == target.parent:
            self.disk.change(str(target.parent), (source.name, None), (target.name, number))
        else:
            self.disk.change(str(target.parent), (target.name, number))
            self.disk.change(str(source.parent), (source.name, None))
        self._done("replace", target)

    def link(self, source: Path, target: Path) -> None:
        self._step("link", target)
        number = self._number(source)
        if target.name in self.disk.folders[str(target.parent)].names:
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        self.disk.change(str(target.parent), (target.name, number))
        self._done("link", target)

    def unlink(self, path: Path) -> None:
        folder = self.disk.folders.get(str(path.parent))
        if folder is not None and path.name in folder.names:
            self._step("unlink", path)
            self.disk.change(str(path.parent), (path.name, None))
            self._done("unlink", path)

    def read(self, path: Path, limit: int = READ_LIMIT) -> bytes:
        if self.dead:
            raise Killed
        data = bytes(self.disk.inodes[self._number(path)].data)
        if len(data) > limit:
            raise ValueError(f"{path} is larger than {limit} bytes")
        return data

    def _number(self, path: Path) -> int:
        folder = self.disk.folders.get(str(path.parent))
        number = folder.names.get(path.name) if folder is not None else None
        if number is None:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return number

    def exists(self, path: Path) -> bool:
        if str(path) in self.disk.folders:
            return True
        folder = self.disk.folders.get(str(path.parent))
        return folder is not None and path.name in folder.names

    def is_file(self, path: Path) -> bool:
        return self.exists(path) and str(path) not in self.disk.folders

    def identity(self, place: Path | int) -> tuple[int, int] | None:
        if isinstance(place, int):
            return 0, self._open[place][0].number
        try:
            return 0, self._number(place)
        except FileNotFoundError:
            return None

    def modified(self, path: Path) -> float:
        return self.disk.inodes[self._number(path)].modified

    def try_lock(self, fd: int) -> bool:
        inode = self._open[fd][0]
        if inode.locked_by not in (None, (id(self), fd)):
            return False
        inode.locked_by = (id(self), fd)
        return True

    def names(self, folder: Path) -> list[str]:
        found = self.disk.folders.get(str(folder))
        below = [path.rpartition("/")[2] for path in self.disk.folders if path.rpartition("/")[0] == str(folder)]
        return sorted([*found.names, *below]) if found is not None else []


class PartlyWritten(Exception):  # noqa: N818  (what happened, not what is wrong)
    """Raised by `before` for a write: so many bytes of it reach the file, then `error` happens."""

    def __init__(self, size: int, error: BaseException) -> None:
        super().__init__(size)
        self.size = size
        self.error = error
