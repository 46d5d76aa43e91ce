"""What the stores of other machines have in common: names, digests, serials in documents, and which snapshots to keep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from mlplan.spi.store import StoreDamaged, StoreError

NEWEST = 50
DAYS = 90
READ_LIMIT = 2**30
"""Bytes. A state of 10,000 records is about 10 MB; what unpacks to more is no state."""

_SERIAL = re.compile(rb'"serial"\s*:\s*(\d{1,15})\b')
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SNAPSHOT = re.compile(r"(\d{1,15})-([0-9a-f]{16})")
_BLOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,127}")


def is_workspace(name: str) -> bool:
    """Tell whether `name` may be the name of a workspace."""
    return _WORKSPACE.fullmatch(name) is not None


def check_workspace(workspace: str) -> str:
    """Return the name of a workspace. Raises: StoreError."""
    if not is_workspace(workspace):
        raise StoreError("Invalid workspace name", f'"{workspace}" may hold letters, digits, ".", "_" and "-" only.')
    return workspace


def serial_of(document: bytes) -> int | None:
    """Return the serial that a document names in its first kilobyte."""
    match = _SERIAL.search(document[:1024])
    return int(match[1]) if match else None


def check_serial(document: bytes, serial: int) -> None:
    """Raise StoreError unless the document names `serial`."""
    if serial_of(document) != serial:
        raise StoreError("Wrong serial", f"The document does not have the serial {serial}.")


def tag_of(document: bytes) -> str:
    """Return the version mark of a document: its digest."""
    return hashlib.sha256(document).hexdigest()


def snapshot_key(serial: int, document: bytes) -> str:
    """Return the key of a snapshot in the history."""
    return f"{serial}-{tag_of(document)[:16]}"


def check_snapshot_key(key: str) -> str:
    """Return a key of the history. Raises: StoreDamaged for anything else."""
    if _SNAPSHOT.fullmatch(key) is None:
        raise StoreDamaged(
            "No such snapshot", f'"{key}" is no key of the history; a key looks like 12-0123456789abcdef.'
        )
    return key


def pack(document: bytes) -> bytes:
    """Return a document compressed."""
    import zstandard

    return zstandard.ZstdCompressor(level=3).compress(document)


def unpack(packed: bytes, key: str) -> bytes:
    """Return the document kept under `key`. Raises: StoreDamaged when it is not what was kept."""
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            document = reader.read(READ_LIMIT)
    except (zstandard.ZstdError, ValueError):
        document = b""
    if tag_of(document)[:16] != key.partition("-")[2]:
        raise StoreDamaged("Snapshot is damaged", f"{key} in the history is not what was kept.")
    return document


def check_blob_key(key: str, data: bytes | None = None) -> str:
    """Return the key of a blob; a key that begins with "sha256:" must be the digest of `data`. Raises: StoreError."""
    if _BLOB.fullmatch(key) is None:
        raise StoreError("Invalid blob key", f'"{key}" is no content key.')
    if data is not None and not blob_matches(key, data):
        raise StoreError("Blob does not match its key", f"{key} is not the digest of these bytes.")
    return key


def blob_matches(key: str, data: bytes) -> bool:
    """Tell whether data is what its key says."""
    return not key.startswith("sha256:") or hashlib.sha256(data).hexdigest() == key[7:]


def superfluous(kept: Iterable[tuple[int, str, float]], pinned: Iterable[str], now: float) -> list[str]:
    """Return the keys of snapshots that need not be kept: beyond the 50 newest, not the last of one of the last 90 days,
    not pinned.

    kept: (serial, key, written), in any order. Units: `written` and `now` seconds since the epoch.
    """
    days: set[int] = set()
    fixed = set(pinned)
    drop = []
    for position, (_, key, written) in enumerate(sorted(kept, reverse=True)):
        day = int(written // 86400)
        last_of_day = day not in days and now - written < DAYS * 86400
        days.add(day)
        if position >= NEWEST and not last_of_day and key not in fixed:
            drop.append(key)
    return drop
