"""Kept snapshots of a local state: 50 newest, one a day for 90 days, and all that are pinned."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from mlplan.spi.store import StoreDamaged
from mlplan_state.files import READ_LIMIT, Files, write_durably

NEWEST = 50
DAYS = 90
_NAME = re.compile(r"(\d{1,15})-([0-9a-f]{16})\.json\.zst")
_KEY = re.compile(r"(\d{1,15})-([0-9a-f]{16})")


def _digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()[:16]


class History:
    """The folder `history/`; a key is `<serial>-<first 16 hex digits of the SHA-256>`."""

    def __init__(self, files: Files, folder: Path) -> None:
        self._files = files
        self._folder = folder

    def keep(self, serial: int, document: bytes, temporary: Path) -> str:
        """Keep a snapshot durably; return its key."""
        import zstandard

        key = f"{serial}-{_digest(document)}"
        target = self._folder / f"{key}.json.zst"
        self._files.make_folder(self._folder)
        write_durably(self._files, temporary, zstandard.ZstdCompressor(level=3).compress(document))
        self._files.replace(temporary, target)
        self._files.sync_folder(self._folder)
        return key

    def entries(self) -> list[tuple[int, str]]:
        """Return (serial, key), newest first."""
        found = [(int(m[1]), f"{m[1]}-{m[2]}") for m in map(_NAME.fullmatch, self._files.names(self._folder)) if m]
        return sorted(found, reverse=True)

    def newest(self) -> int:
        """Return the highest serial kept, -1 when none is."""
        return max((serial for serial, _ in self.entries()), default=-1)

    def read(self, key: str) -> bytes:
        """Return a kept snapshot. Raises: StoreDamaged when it is absent or not what was kept."""
        import zstandard

        match = _KEY.fullmatch(key)
        if match is None:
            raise StoreDamaged(
                "No such snapshot", f'"{key}" is no key of the history; a key looks like 12-0123456789abcdef.'
            )
        try:
            packed = self._files.read(self._folder / f"{key}.json.zst")
            with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
                document = reader.read(READ_LIMIT)
        except FileNotFoundError:
            raise StoreDamaged("No such snapshot", f"The history holds no {key}.") from None
        except (zstandard.ZstdError, ValueError):
            document = b""
        if _digest(document) != match[2]:
            raise StoreDamaged("Snapshot is damaged", f"{key} in the history is not what was kept.")
        return document

    def pin(self, key: str) -> None:
        """Keep this snapshot for ever."""
        self.read(key)
        fd = self._files.open(self._folder / f"{key}.pin", os.O_WRONLY | os.O_CREAT)
        self._files.close(fd)
        self._files.sync_folder(self._folder)

    def pinned(self) -> list[str]:
        """Return the keys that are kept for ever."""
        names = self._files.names(self._folder)
        return [name.removesuffix(".pin") for name in names if name.endswith(".pin")]

    def prune(self, now: float) -> None:
        """Remove what need not be kept. Units: `now` seconds since the epoch."""
        names = set(self._files.names(self._folder))
        days: set[int] = set()
        for position, (_, key) in enumerate(self.entries()):
            path = self._folder / f"{key}.json.zst"
            written = self._files.modified(path)
            day = int(written // 86400)
            last_of_day = day not in days and now - written < DAYS * 86400
            days.add(day)
            if position >= NEWEST and not last_of_day and f"{key}.pin" not in names:
                self._files.unlink(path)
