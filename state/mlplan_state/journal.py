"""The journal file of a local state: append, sync, and the mark.

The mark is a small block beside the journals that says how many bytes of which journal were acknowledged, and their
checksum. It is written after the sync and not synced itself, so it is never ahead of the disk: a journal that is
shorter than its mark, or differs before it, was damaged; what stands after it may be torn.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from mlplan.spi.store import StoreDamaged
from mlplan_state.files import Files, never_a_file

_MARK = re.compile(rb"(\d{15}) (\d{15}) ([0-9a-f]{8}) ([0-9a-f]{8})\n")


def journal_path(folder: Path, serial: int) -> Path:
    """Return where the journal after snapshot `serial` stands."""
    return folder / f"journal.{serial}.jsonl"


def check_journal(files: Files, folder: Path, serial: int) -> bytes:
    """Return the bytes of a journal. Raises: StoreDamaged when acknowledged bytes are missing or altered;
    FileNotFoundError.
    """
    size, checksum = read_mark(files, folder, serial)
    try:
        data = files.read(journal_path(folder, serial))
    except FileNotFoundError:
        if size:
            raise StoreDamaged("Journal is gone", f"The journal of serial {serial} in {folder} is absent.") from None
        raise
    except ValueError as error:
        raise StoreDamaged("Journal is too large", str(error)) from None
    except OSError as error:
        if not never_a_file(error):
            raise
        raise StoreDamaged("Journal is no file", f"{journal_path(folder, serial)}: {error.strerror}.") from None
    if len(data) < size or zlib.crc32(data[:size]) != checksum:
        raise StoreDamaged(
            "Journal is damaged",
            f"journal.{serial}.jsonl in {folder} was {'cut' if len(data) < size else 'altered'} after it was written.",
        )
    return data


def read_mark(files: Files, folder: Path, serial: int) -> tuple[int, int]:
    """Return (bytes, crc32) acknowledged of a journal; (0, 0) when the mark is about another one or was torn
    by a power loss.
    """
    try:
        match = _MARK.fullmatch(files.read(folder / "mark", 4096))
    except (FileNotFoundError, ValueError):
        return 0, 0
    if match is None or zlib.crc32(match[0][:41]) != int(match[4], 16) or int(match[1]) != serial:
        return 0, 0
    return int(match[2]), int(match[3], 16)


class Journal:
    """A journal that is open for appending."""

    def __init__(self, files: Files, serial: int, fd: int, mark: int, data: bytes) -> None:
        self.serial = serial
        self._files = files
        self._fd = fd
        self._mark = mark
        self._size = len(data)
        self._checksum = zlib.crc32(data)
        self._whole = not data or data.endswith(b"\n")

    @classmethod
    def create(cls, files: Files, folder: Path, serial: int) -> None:
        """Make an empty journal durably. Raises: FileExistsError."""
        fd = files.open(journal_path(folder, serial), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            files.sync(fd)
        finally:
            files.close(fd)
        files.sync_folder(folder)

    @classmethod
    def open(cls, files: Files, folder: Path, serial: int) -> Journal:
        """Open the journal after snapshot `serial`, making it when a crash came before. Raises:
        StoreDamaged, OSError.
        """
        try:
            check_journal(files, folder, serial)
        except FileNotFoundError:
            cls.create(files, folder, serial)
        fd = files.open(journal_path(folder, serial), os.O_WRONLY | os.O_APPEND)
        try:
            mark = files.open(folder / "mark", os.O_WRONLY | os.O_CREAT)
            return cls(files, serial, fd, mark, files.read(journal_path(folder, serial)))
        except BaseException:
            files.close(fd)
            raise

    def append(self, line: bytes, verify: Callable[[], None]) -> None:
        """Append and sync; `verify` is asked once more before the write counts. Raises: OSError, what
        `verify` raises.
        """
        data = (b"" if self._whole else b"\n") + line + b"\n"
        self._files.write(self._fd, data)
        self._files.sync_data(self._fd)
        # Whoever took the lock away meanwhile reads a journal with or without these lines; either way they are not
        # ours any more.
        verify()
        self._whole = True
        self._size += len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        head = f"{self.serial:015d} {self._size:015d} {self._checksum:08x} ".encode()
        self._files.write_at(self._mark, head + f"{zlib.crc32(head):08x}\n".encode(), 0)

    def close(self) -> None:
        """Close the files; everything acknowledged is durable already."""
        self._files.close(self._fd)
        self._files.close(self._mark)
