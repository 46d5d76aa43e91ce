"""Blobs of a local state: bytes under a content key, written once."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from mlplan.spi.store import StoreDamaged, StoreError
from mlplan_state.files import Files, write_durably

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,127}")


class Blobs:
    """The folder `blobs/`. A key that begins with "sha256:" is checked against the bytes, on the way in and out."""

    def __init__(self, files: Files, folder: Path) -> None:
        self._files = files
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Store durably; the same key again is fine. Raises: StoreError, OSError."""
        path = self._path(key)
        if not _matches(key, data):
            raise StoreError("Blob does not match its key", f"{key} is not the digest of these bytes.")
        if self._files.exists(path):
            return
        self._files.make_folder(path.parent)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        write_durably(self._files, temporary, data)
        self._files.replace(temporary, path)
        self._files.sync_folder(path.parent)

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None. Raises: StoreDamaged, OSError."""
        try:
            data = self._files.read(self._path(key))
        except FileNotFoundError:
            return None
        if not _matches(key, data):
            raise StoreDamaged("Blob is damaged", f"{key} holds other bytes than were stored.")
        return data

    def keys(self) -> Iterator[str]:
        """Yield the keys of all blobs, sorted within their folders. Raises: OSError."""
        for part in self._files.names(self._folder):
            for name in self._files.names(self._folder / part):
                key = name.replace("=", ":")
                if not name.endswith(".tmp") and _KEY.fullmatch(key):
                    yield key

    def _path(self, key: str) -> Path:
        if _KEY.fullmatch(key) is None:
            raise StoreError("Invalid blob key", f'"{key}" is no content key.')
        name = key.replace(":", "=")
        return self._folder / name[-2:] / name


def _matches(key: str, data: bytes) -> bool:
    return not key.startswith("sha256:") or hashlib.sha256(data).hexdigest() == key[7:]
