"""SHA-256 of files with a cache by path, size, times and inode, so that an unchanged file costs one `stat`.

The cache only ever saves work: it may be deleted at any time, and an entry counts only while everything the file system
says about the file is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_FILE = "hashes.json"
_CHUNK = 1 << 20
_MOST_ENTRIES = 200_000
_SETTLED = 2.0
"""Seconds a file must have been left alone before its hash is kept: a later write in the same tick of the clock would
not show.
"""

Entry = tuple[int, int, int, int, str]
"""size, mtime_ns, ctime_ns, inode, sha256."""


class ChangedWhileReading(Exception):  # noqa: N818  (it tells what happened to a file; no bug of ours)
    """A file changed while it was hashed, twice in a row."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


def hash_files(paths: Sequence[Path], cache: Path | None, *, use_cached: bool = True) -> list[tuple[int, str]]:
    """Return (size, hex SHA-256) of each path, hashing in parallel what the cache in folder `cache` does not know.

    Raises OSError when a file cannot be read, ChangedWhileReading when it is being written.
    """
    known = _load(cache) if cache is not None and use_cached else {}
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:  # hashlib releases the interpreter lock
        entries = list(pool.map(lambda path: _entry(path, known), paths))
    if cache is not None:
        _save(cache, {str(path): entry for path, entry in zip(paths, entries, strict=True)}, known)
    return [(entry[0], entry[4]) for entry in entries]


def _facts(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _entry(path: Path, known: dict[str, Entry]) -> Entry:
    for _ in range(2):
        before = _facts(path)
        cached = known.get(str(path))
        if cached is not None and tuple(cached[:4]) == before:
            return cached
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if _facts(path) == before:
            return (*before, digest.hexdigest())
    raise ChangedWhileReading(path)


def _load(cache: Path) -> dict[str, Entry]:
    """Return the cache's entries, none when there is no usable cache: it is never more than saved work."""
    try:
        document = json.loads((cache / _FILE).read_bytes())
        return {
            path: (int(e[0]), int(e[1]), int(e[2]), int(e[3]), str(e[4]))
            for path, e in document["files"].items()
            if len(str(e[4])) == 64
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return {}


def _save(cache: Path, fresh: dict[str, Entry], known: dict[str, Entry]) -> None:
    horizon = time.time_ns() - int(_SETTLED * 1e9)
    settled = {path: e for path, e in fresh.items() if e[1] < horizon and e[2] < horizon}
    if all(known.get(path) == e for path, e in settled.items()):
        return
    merged = {**_load(cache), **settled}  # another process may have written since
    if len(merged) > _MOST_ENTRIES:
        merged = settled
    cache.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=cache, prefix=_FILE)
    with os.fdopen(handle, "w") as file:
        json.dump({"files": merged}, file)
    os.replace(name, cache / _FILE)
