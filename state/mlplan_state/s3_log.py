"""The journal in a bucket: numbered slots, each created once, none skipped.

A slot is a line of JSON about itself (fence, nonce, digest of what follows) and then the journal's lines; a barrier holds
none. An append that finds its slot taken by another fence has lost the lock.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mlplan.spi.store import StoreDamaged, StoreError
from mlplan_state.leases import taken_away
from mlplan_state.s3_client import Bucket

READERS = 8
LAGS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between two reads of a slot that is known to be there and does not show."""
_KEY = re.compile(r"log/(\d{15})/(\d{9})")


class Log:
    """The logs of one state."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._next: dict[int, int] = {}
        """Serial to the first slot that may be free: all before it surely exist, whatever a lagging read says."""

    def begin(self, serial: int, fence: int, *, fresh: bool = False) -> None:
        """Create a barrier in the first free slot, so that no former holder's next append succeeds. fresh: the log is
        expected to be empty, so no listing is asked for."""
        slot = 0 if fresh else max(self._next.get(serial, 0), self._listed(serial))
        while not self._create(serial, slot, b"", fence):
            slot += 1  # it is taken, so it exists; the one behind it may be free
        self._next[serial] = slot + 1

    def append(self, serial: int, line: bytes, fence: int) -> None:
        """Create the next slot. Raises: Conflict when somebody else's is there, StoreError."""
        slot = self._next.get(serial)
        if slot is None:
            raise StoreError("State could not be written", f"No log after serial {serial} was begun.")
        if not self._create(serial, slot, line, fence):
            raise taken_away()
        self._next[serial] = slot + 1

    def _create(self, serial: int, slot: int, line: bytes, fence: int) -> bool:
        about = {"fence": fence, "nonce": secrets.token_hex(8), "sha256": hashlib.sha256(line).hexdigest()}
        data = json.dumps(about).encode() + b"\n" + line
        if self._bucket.create(_key(serial, slot), data) is not None:
            return True
        found = self._bucket.get(_key(serial, slot))  # ours, when the first answer was lost and the client asked again
        return found is not None and found.data == data

    def lines(self, serial: int) -> Iterator[bytes]:
        """Yield the lines in order. Raises: StoreDamaged."""
        slots = max(self._next.get(serial, 0), self._listed(serial))
        with ThreadPoolExecutor(READERS) as pool:
            for slot, data in enumerate(pool.map(lambda slot: self._read(serial, slot, sure=True), range(slots))):
                assert data is not None
                yield from _lines(data, serial, slot)
        while (data := self._read(serial, slots, sure=False)) is not None:
            yield from _lines(data, serial, slots)
            slots += 1

    def _read(self, serial: int, slot: int, *, sure: bool) -> bytes | None:
        found = self._bucket.get(_key(serial, slot))
        for wait in LAGS if sure else ():
            if found is not None:
                break
            time.sleep(wait)
            found = self._bucket.get(_key(serial, slot))
        if found is None and sure:
            raise StoreDamaged("Journal is damaged", f"Slot {slot} of the journal after serial {serial} is gone.")
        return found.data if found is not None else None

    def salvage(self, serial: int) -> Iterator[bytes]:
        """Yield the lines of what there is, whatever is wrong with it."""
        for item in self._bucket.list(_folder(serial)):
            found = self._bucket.get(item.key)
            payload = found.data.partition(b"\n")[2] if found is not None else b""
            yield from payload.split(b"\n") if payload else ()

    def serials(self) -> list[int]:
        """Return the serials that have a log."""
        return sorted({int(m[1]) for item in self._bucket.list("log/") if (m := _KEY.fullmatch(item.key))})

    def remove_before(self, serial: int) -> None:
        """Remove the logs of snapshots before `serial`."""
        for item in list(self._bucket.list("log/")):
            match = _KEY.fullmatch(item.key)
            if match is None or int(match[1]) >= serial:
                break
            self._bucket.delete(item.key)

    def _listed(self, serial: int) -> int:
        """Return one more than the highest slot that a listing shows; a lagging listing shows too few, never too many."""
        slots = [int(m[2]) for item in self._bucket.list(_folder(serial)) if (m := _KEY.fullmatch(item.key))]
        return max(slots, default=-1) + 1


def _folder(serial: int) -> str:
    return f"log/{serial:015d}/"


def _key(serial: int, slot: int) -> str:
    return f"{_folder(serial)}{slot:09d}"


def _lines(data: bytes, serial: int, slot: int) -> list[bytes]:
    about, _, payload = data.partition(b"\n")
    try:
        good = json.loads(about)["sha256"] == hashlib.sha256(payload).hexdigest()
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise StoreDamaged(
            "Journal is damaged", f"Slot {slot} of the journal after serial {serial} is not what was written."
        )
    return payload.split(b"\n") if payload else []
