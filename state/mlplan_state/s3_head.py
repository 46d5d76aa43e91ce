"""The two small objects of a state in a bucket: which snapshot is the head, and who holds the lock."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from mlplan.spi.store import StoreDamaged
from mlplan_state import common, leases
from mlplan_state.s3_client import Bucket

HEAD, LOCK = "head.json", "lock.json"


@dataclass(frozen=True)
class Pointer:
    """What head.json says. nonce: tells a write of ours that came through twice from one of somebody else."""

    serial: int
    key: str
    digest: str
    fence: int
    nonce: str

    def renewed(self) -> Pointer:
        """Return the same with another nonce."""
        return replace(self, nonce=secrets.token_hex(8))

    def to_bytes(self) -> bytes:
        """Return it as JSON text."""
        return json.dumps({"format": 1, **self.__dict__}, indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Pointer:
        """Return the pointer of its text. Raises: StoreDamaged."""
        try:
            found = json.loads(data)
            if found["format"] != 1:
                raise StoreDamaged("State was written by a newer mlplan", f"head.json has format {found['format']}.")
            return cls(
                int(found["serial"]), common.check_snapshot_key(found["key"]), str(found["digest"]),
                int(found["fence"]), str(found["nonce"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            raise StoreDamaged(
                "State head is unreadable", "head.json in the bucket was emptied, cut or edited."
            ) from None


@dataclass
class Held:
    """What a holder remembers: the head as it last wrote it (None while it is damaged) and its tag."""

    pointer: Pointer | None
    tag: str | None


class LockObject:
    """The note of the lock as an object."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def read(self) -> tuple[leases.Note | None, Any]:
        """Return the note and its tag; one that cannot be read counts as broken, at a fence that only rises."""
        found = self._bucket.get(LOCK)
        if found is None:
            return None, None
        try:
            return leases.Note.from_json(json.loads(found.data)), found.tag
        except (ValueError, KeyError, TypeError):
            head = self._bucket.get(HEAD)
            try:
                fence = Pointer.from_bytes(head.data).fence if head is not None else 0
            except StoreDamaged:
                fence = int(time.time())  # beyond any fence that counting could have reached
            return leases.Note("broken", fence, 0, None), found.tag

    def write(self, note: leases.Note, mark: Any) -> Any:
        """Replace the note if its tag is still `mark`."""
        data = json.dumps(note.to_json()).encode()
        return self._bucket.create(LOCK, data) if mark is None else self._bucket.swap(LOCK, data, mark)
