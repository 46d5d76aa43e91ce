"""A store around a store: what goes in is encrypted, what comes out was authenticated. The store inside sees envelopes.

Plain text is read only while it is not forbidden, so that a project can begin to encrypt: the next write is encrypted. A journal
that follows an encrypted snapshot is never taken in plain text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from mlplan.ledger.keys import Keyring, Place, is_sealed
from mlplan.spi.store import Head, Holder, Lock, Store, StoreDamaged, StoreError

_PLAIN_LINE = re.compile(rb"[0-9a-f]{8} \{")


class EncryptedStore:
    """Encrypts documents, journals and blobs of `inner` with the keys of a ring."""

    def __init__(self, inner: Store, keys: Keyring) -> None:
        self._inner = inner
        self._keys = keys
        self._lineage: str | None = None
        self._journal: tuple[int, tuple[bytes, bytes]] | None = None
        self._sealed: dict[int, bool] = {}
        """Serial of a head that was read or written here, to whether it was encrypted."""

    def __str__(self) -> str:
        return f"{self._inner}, encrypted"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)  # what some stores offer besides: workspaces, a check of the server

    def exists(self) -> bool:
        """Tell whether this state was ever initialised."""
        return self._inner.exists()

    def initialise(self, document: bytes, serial: int = 0) -> None:
        """Write the first document, encrypted."""
        self._inner.initialise(self._seal(document, serial), serial)

    def read_head(self) -> Head:
        """Return the newest snapshot, opened. Raises: StoreDamaged, StoreError."""
        head = self._inner.read_head()
        document, sealed = self._open(head.document, head.serial)
        self._sealed[head.serial] = sealed
        if sealed or self._lineage is None:
            self._lineage = _lineage(document) or self._lineage
        return Head(head.serial, document, head.tag)

    def read_log(self, serial: int) -> Iterator[bytes]:
        """Yield the lines after snapshot `serial`, opened. Raises: StoreDamaged, StoreError."""
        if serial not in self._sealed:
            self.read_head()
        for line in self._inner.read_log(serial):
            if is_sealed(line):
                try:
                    data, _ = self._keys.open(line, "journal", self._lineage, serial)
                except StoreDamaged:
                    if line.rstrip().endswith(b"}"):
                        raise
                    data = line  # cut: the end of a write that was never acknowledged, or damage; the journal's reader tells
                yield from data.split(b"\n")
            elif _PLAIN_LINE.match(line) and (self._sealed.get(serial, True) or self._keys.enforced):
                raise StoreDamaged(
                    "A journal line is not encrypted",
                    f"The journal after serial {serial} holds plain text although the state is encrypted. Somebody put it there.",
                )
            else:
                yield line

    def append(self, serial: int, line: bytes, lock: Lock) -> None:
        """Append lines as one encrypted line, with the data key of this journal."""
        if self._journal is None or self._journal[0] != serial:
            self._journal = (serial, self._keys.new_data_key())
        if serial not in self._sealed:
            self.read_head()
        place = Place(self._lineage or "", "journal", serial)
        self._inner.append(serial, self._keys.seal(line, place, self._journal[1]), lock)

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: Lock) -> Head:
        """Replace the head with an encrypted one."""
        head = self._inner.swap_head(expected, self._seal(document, serial), serial, lock)
        self._sealed[serial] = True
        return Head(serial, document, head.tag)

    def replace_damaged(self, document: bytes, serial: int, lock: Lock) -> Head:
        """Put an encrypted document in place of a head that cannot be read."""
        head = self._inner.replace_damaged(self._seal(document, serial), serial, lock)
        self._sealed[serial] = True
        return Head(serial, document, head.tag)

    def read_damaged_log(self, serial: int) -> Iterator[bytes]:
        """Yield what there is of a log; a line that cannot be opened comes as it stands."""
        for line in self._inner.read_damaged_log(serial):
            try:
                data = self._keys.open(line, "journal", None, serial)[0] if is_sealed(line) else line
            except StoreError:
                data = line
            yield from data.split(b"\n")

    def next_serial(self) -> int:
        """Return a serial higher than everything that was ever here."""
        return self._inner.next_serial()

    def history(self) -> list[tuple[int, str]]:
        """Return (serial, key) of kept snapshots, newest first."""
        return self._inner.history()

    def read_history(self, key: str) -> bytes:
        """Return a kept snapshot, opened."""
        return self._open(self._inner.read_history(key), None)[0]

    def keep_history(self, serial: int, document: bytes) -> str:
        """Keep a snapshot of another store, encrypted; one that is kept already is not kept twice."""
        for known, key in self._inner.history():
            if known == serial and self.read_history(key) == document:
                return key
        return self._inner.keep_history(serial, self._seal(document, serial))

    def pin(self, key: str) -> None:
        """Keep a snapshot for ever."""
        self._inner.pin(key)

    def pinned(self) -> list[str]:
        """Return the keys of snapshots that are kept for ever."""
        return self._inner.pinned()

    def lock(self, holder: Holder, timeout: float) -> Lock:
        """Take the lock. Who holds it stands in plain text, for people."""
        return self._inner.lock(holder, timeout)

    def holder(self) -> Holder | None:
        """Return who holds the lock now."""
        return self._inner.holder()

    def break_lock(self) -> Holder | None:
        """Take the lock away."""
        return self._inner.break_lock()

    def put_blob(self, key: str, data: bytes) -> None:
        """Store a blob encrypted, its key inside. Raises: StoreError when the key is a SHA-256 of something else."""
        if not _matches(key, data):
            raise StoreError("Blob does not match its key", f"{key} is not the digest of these bytes.")
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,127}", key) is None:
            raise StoreError("Invalid blob key", f'"{key}" is no content key.')
        place = Place(self._known_lineage(), "blob", 0)
        self._inner.put_blob(_hidden(key), self._keys.seal(key.encode() + b"\n" + data, place))

    def get_blob(self, key: str) -> bytes | None:
        """Return a blob, opened, or None. Raises: StoreDamaged."""
        data = self._inner.get_blob(_hidden(key))
        if data is not None:
            found, blob = self._blob(data)
            if found != key or not _matches(key, blob):
                raise StoreDamaged("Blob is damaged", f"Another blob stands at the place of {key}.")
            return blob
        return None if self._keys.enforced else self._inner.get_blob(key)

    def blobs(self) -> Iterator[str]:
        """Yield the keys of all blobs; each is opened for it."""
        for name in self._inner.blobs():
            data = self._inner.get_blob(name) if name.startswith("sealed-") else None
            yield self._blob(data)[0] if data is not None else name

    def _blob(self, data: bytes) -> tuple[str, bytes]:
        opened, place = self._keys.open(data, "blob")
        if place.lineage not in ("", self._known_lineage()):
            raise StoreDamaged("Blob is damaged", f"It belongs to another state, of lineage {place.lineage}.")
        text, _, blob = opened.partition(b"\n")
        return text.decode(), blob

    def _known_lineage(self) -> str:
        if self._lineage is None:
            if not self.exists():
                return ""  # a blob that moves in before its state: bound to the key alone
            self.read_head()
        return self._lineage or ""

    def _seal(self, document: bytes, serial: int) -> bytes:
        self._lineage = _lineage(document) or self._lineage
        return self._keys.seal(document, Place(self._lineage or "", "state", serial)) + b"\n"

    def _open(self, data: bytes, serial: int | None) -> tuple[bytes, bool]:
        if is_sealed(data):
            document, place = self._keys.open(data, "state", None, serial)
            if _lineage(document) not in (place.lineage, None):
                raise StoreDamaged(
                    "An encrypted document was changed", "Its envelope names another lineage than it holds."
                )
            return document, True
        if self._keys.enforced and data.strip():
            raise StoreError(
                "Plain text is forbidden",
                "The state is not encrypted, and the block encryption says enforced = true. To encrypt what is there, take "
                "enforced out, run mlplan apply once, and put it in again.",
            )
        return data, False


def _lineage(document: bytes) -> str | None:
    try:
        found = orjson.loads(document)["lineage"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _hidden(key: str) -> str:
    """Return the name under which the store inside keeps a blob; the digest of a content says what was guessed right."""
    return "sealed-" + hashlib.sha256(b"mlplan blob\0" + key.encode("utf-8", "surrogatepass")).hexdigest()


def _matches(key: str, data: bytes) -> bool:
    return not key.startswith("sha256:") or hashlib.sha256(data).hexdigest() == key[7:]
