"""The one seam to the file system. Every call goes through `Files`, so that tests can record it, fail it
or kill it, or keep files in memory.

It decides nothing: the order of calls, and what an error means, are the business of the store.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
"""State names everything a team runs; only its owner reads it."""

READ_LIMIT = 2**30
"""Bytes. A state of 10,000 records is about 10 MB; a file beyond this is no state."""


class NoFile(OSError):  # noqa: N818  (what stands there, not what went wrong)
    """A folder, a pipe or a device stands where a file of ours belongs."""


def never_a_file(error: OSError) -> bool:
    """Tell whether an error of `Files.read` says that no file of ours stands there, instead of keeping us from it."""
    return isinstance(error, NoFile) or error.errno in (errno.ELOOP, errno.ENOTDIR)


class Files:
    """Plain POSIX calls. Raises: OSError, never retried."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and its parents, durably."""
        missing = [folder for folder in (path, *path.parents) if not self.exists(folder)]
        for folder in reversed(missing):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            self.sync_folder(folder.parent)

    def open(self, path: Path, flags: int) -> int:
        """Return a file descriptor; a file that is made is readable by its owner alone."""
        return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)

    def close(self, fd: int) -> None:
        """Close a file descriptor."""
        os.close(fd)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of `data` at the present end."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def write_at(self, fd: int, data: bytes, offset: int) -> None:
        """Write a small block in place."""
        if os.pwrite(fd, data, offset) != len(data):
            raise OSError(errno.EIO, "short write")

    def sync(self, fd: int) -> None:
        """Make content and size durable (fsync)."""
        os.fsync(fd)

    def sync_data(self, fd: int) -> None:
        """Make content and size durable, without times (fdatasync)."""
        os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        """Make names in a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def replace(self, source: Path, target: Path) -> None:
        """Rename over `target`."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; FileExistsError when it is taken."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a name; fine when it is gone already."""
        path.unlink(missing_ok=True)

    def read(self, path: Path, limit: int = READ_LIMIT) -> bytes:
        """Return the content. Raises: NoFile, OSError; ValueError when it is larger than `limit` bytes."""
        # Without waiting: a pipe in place of a file would keep us for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise NoFile(errno.EINVAL, "something other than a file stands here", str(path))
            with open(fd, "rb", closefd=False) as stream:
                data = stream.read(limit + 1)
        finally:
            os.close(fd)
        if len(data) > limit:
            raise ValueError(f"{path} is larger than {limit} bytes")
        return data

    def exists(self, path: Path) -> bool:
        """Tell whether there is something at `path`, also a link that leads nowhere."""
        return os.path.lexists(path)

    def is_file(self, path: Path) -> bool:
        """Tell whether a file is at `path`, itself and not through a link."""
        return path.is_file() and not path.is_symlink()

    def identity(self, place: Path | int) -> tuple[int, int] | None:
        """Return what tells one file from another, of a path or a file descriptor; None when nothing is there."""
        try:
            found = os.fstat(place) if isinstance(place, int) else os.stat(place)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def modified(self, path: Path) -> float:
        """Return when a file was last written. Units: seconds since the epoch."""
        return path.stat().st_mtime

    def try_lock(self, fd: int) -> bool:
        """Take the exclusive flock of an open file if it is free. It ends when the file is closed, also by death."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted; none when there is no such folder."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


def write_durably(files: Files, temporary: Path, data: bytes) -> None:
    """Write a whole new file and make its content durable; the caller gives it its name."""
    fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        files.write(fd, data)
        files.sync(fd)
    finally:
        files.close(fd)
