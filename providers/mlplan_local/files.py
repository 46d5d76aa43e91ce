"""Small files, safely: atomic writes, locks, the last lines of a log, and names that are fit to be paths.

Knows nothing of jobs, units or endpoints. Standard library only: helper processes import it too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}")
_MOST_JSON = 8 * 1024 * 1024
_LOCK_PAUSE = 0.02


def is_name(name: str) -> bool:
    """Tell whether `name` is fit to be a folder name and a name inside the router: letters, digits, "-" and "_"."""
    return _NAME.fullmatch(name) is not None


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a whole file under a temporary name and rename it, so that readers see the old or the new one, never half.

    The temporary file starts with a dot: a folder listing by suffix does not see it.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document atomically."""
    write_atomic(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in `path`; None when there is no file, or none that holds an object."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MOST_JSON))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def last_lines(path: Path, lines: int, most: int = 64 * 1024) -> list[str]:
    """Return the last `lines` lines of a text file, reading at most `most` bytes from its end; none when there is no file."""
    if lines <= 0:
        return []
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read(most).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    return text.splitlines()[-lines:]


def cut_log(path: Path, most: int) -> None:
    """Empty a log that outgrew `most` bytes. Its writer appends, so that it goes on at the start of the empty file."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > most:
            os.truncate(path, 0)


class LockBusyError(Exception):
    """Somebody else held the lock for the whole time."""


@contextlib.contextmanager
def locked(path: Path, timeout: float = 60.0) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads; the lock file may be unlinked by whoever holds it.

    Units: `timeout` in seconds. Raises: LockBusyError. The file is compared with its name after locking: a lock on a file that was
    unlinked in between guards nothing.
    """
    deadline = time.monotonic() + timeout
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last holder removed the folder between the two calls
        try:
            if _lock(handle, deadline) and _still(handle, path):
                yield
                return
        finally:
            os.close(handle)
        if time.monotonic() > deadline:
            raise LockBusyError(str(path))


def _lock(handle: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOCK_PAUSE)
        else:
            return True


def _still(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def remove_empty(folder: Path, up_to: Path) -> None:
    """Remove `folder` and its parents below and including `up_to` as far as they are empty."""
    while folder == up_to or up_to in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or gone: both are fine
        folder = folder.parent
