"""State in a bucket of any S3 that honours conditional writes.

```
<key>/<workspace>/head.json                 which snapshot is the head, and the fence of who may replace it; swapped with If-Match
                 /history/12-<sha16>.zst    every snapshot, the head's too; <key>.pin beside those kept for ever
                 /log/<serial>/<slot>       the journal after a snapshot, one object an append, created with If-None-Match
                 /lock.json                 who holds the lock, and its beat
                 /blobs/  /damaged/  /initialised
```
The fence is made of the two conditions. Whoever takes the lock writes its fence into head.json, so the tag that a former
holder knows is void, and creates a barrier in the first free slot of the log, so the slot that a former holder would use
next is taken; no holder ever skips a slot. Both also prove to the new holder that it has read everything, even from a
server whose reads lag behind.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlplan.spi.schema import BOOL, DURATION, STRING, Argument, BlockSchema
from mlplan.spi.store import Conflict, Head, Holder, Lock, StoreDamaged, StoreError
from mlplan_state import common, leases
from mlplan_state.leases import LeaseLock, writing
from mlplan_state.s3_client import Bucket, Listed, connect
from mlplan_state.s3_head import HEAD, Held, LockObject, Pointer
from mlplan_state.s3_log import Log
from mlplan_state.s3_probe import probe

MARKER = "initialised"
RACES = 20
LAGS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between two reads of something that is known to be there and does not show."""

_TEXT = {
    "bucket": "Name of the bucket; it must exist.",
    "key": "Folder in the bucket, as flights or teams/fraud; one folder a workspace is made under it.",
    "region": "Region; AWS_REGION and the profile are used when left out.",
    "endpoint": "Address of an S3 other than AWS, as https://minio.example.com.",
    "profile": "Profile in the AWS configuration files.",
    "kms_key_id": "Key with which the server encrypts the objects (aws:kms).",
}


class S3Store:
    """A store in a bucket. Thread-safe."""

    schema = BlockSchema(
        description="State in a bucket of Amazon S3 or any S3 that honours conditional writes.",
        arguments={
            "bucket": Argument(STRING, _TEXT["bucket"], required=True),
            "key": Argument(STRING, _TEXT["key"], required=True),
            **{name: Argument(STRING, _TEXT[name]) for name in ("region", "endpoint", "profile", "kms_key_id")},
            "access_key": Argument(STRING, "Access key; better left to the environment or a profile.", sensitive=True),
            "secret_key": Argument(STRING, "Secret key; better left to the environment or a profile.", sensitive=True),
            "token": Argument(STRING, "Session token.", sensitive=True),
            "encrypt": Argument(BOOL, "Ask the server to encrypt the objects (AES256).", default=False),
            "use_path_style": Argument(BOOL, "Bucket in the path instead of the host name.", default=False),
            "stale_after": Argument(
                DURATION, "How long a lock's counter may stand still before the lock is given up.", default=leases.STALE_AFTER
            ),
        },
    )  # fmt: skip

    place = ("bucket", "key", "endpoint")
    """The arguments that say where the state is."""

    def __init__(self, settings: Mapping[str, Any], root: Path, workspace: str, client: Any = None) -> None:
        folder = str(settings["key"]).strip("/")
        if not re.fullmatch(r"[A-Za-z0-9!_.*'()/=+@-]{1,700}", folder) or ".." in folder:
            raise StoreError("Invalid key", f'"{folder}" is no folder for a bucket, as in flights or teams/fraud.')
        extra: dict[str, str] = {}
        if settings.get("kms_key_id"):
            extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": str(settings["kms_key_id"])}
        elif settings.get("encrypt"):
            extra = {"ServerSideEncryption": "AES256"}
        prefix = f"{folder}/{common.check_workspace(workspace)}/"
        self._bucket = Bucket(client or connect(settings), str(settings["bucket"]), prefix, extra)
        self._stale_after = float(settings.get("stale_after") or leases.STALE_AFTER)
        self._log = Log(self._bucket)
        self._mutex = threading.RLock()
        self._newest: Pointer | None = None  # the newest head that this process knows of; older ones are lagging reads

    def __str__(self) -> str:
        return f"s3://{self._bucket.name}/{self._bucket.prefix}"

    def check(self) -> None:
        """Refuse a server that ignores conditions. Raises: StoreError."""
        probe(self._bucket)

    def exists(self) -> bool:
        """Tell whether this state was ever initialised, even if its head is damaged now."""
        return self._bucket.get(HEAD) is not None or self._bucket.get(MARKER) is not None

    def initialise(self, document: bytes, serial: int = 0) -> None:
        """Probe the server, write the first document. Raises: Conflict, StoreError."""
        common.check_serial(document, serial)
        if self.exists():
            raise self._exists_already()
        self.check()
        key = self._keep(serial, document)
        fence = (self._cell().read()[0] or leases.Note("free", 0, 0, None)).fence
        pointer = Pointer(serial, key, common.tag_of(document), fence, secrets.token_hex(8))
        if self._create_head(pointer) is None:
            raise self._exists_already()
        self._bucket.put(
            MARKER, b"A state was initialised here. If head.json is absent, it was lost: mlplan state repair\n"
        )

    def _exists_already(self) -> Conflict:
        return Conflict("State exists already", f"{self} holds a state; nothing was changed.")

    def _create_head(self, pointer: Pointer) -> str | None:
        tag = self._bucket.create(HEAD, pointer.to_bytes())
        return tag or self._tag_if_ours(pointer)

    def _swap_head(self, pointer: Pointer, tag: str) -> str | None:
        new = self._bucket.swap(HEAD, pointer.to_bytes(), tag)
        return new or self._tag_if_ours(pointer)

    def _tag_if_ours(self, pointer: Pointer) -> str | None:
        """Return the tag when `pointer` stands there: then a write arrived whose answer was lost."""
        found = self._bucket.get(HEAD)
        return found.tag if found is not None and found.data == pointer.to_bytes() else None

    def read_head(self) -> Head:
        """Return the newest snapshot. Raises: StoreDamaged, StoreError."""
        pointer, _ = self._pointer()
        document = self._bucket.get(f"history/{pointer.key}.zst")
        for wait in LAGS if document is None else ():
            time.sleep(wait)
            document = document or self._bucket.get(f"history/{pointer.key}.zst")
            if document is not None:
                break
        if document is None:
            raise StoreDamaged("State document is gone", f"{self}history/{pointer.key}.zst is absent.")
        data = common.unpack(document.data, pointer.key)
        if common.tag_of(data) != pointer.digest or common.serial_of(data) != pointer.serial:
            raise StoreDamaged("State document is not the one that was written", f"head.json and {pointer.key} differ.")
        newest = max((serial for serial, _, _ in self._snapshots()), default=-1)
        if newest > pointer.serial + 1 and self._pointer()[0] == pointer:
            raise StoreDamaged(
                "State head is older than the history",
                f"{self}head.json has serial {pointer.serial}, the history has {newest}: an old copy was put in its place.",
            )
        return Head(pointer.serial, data, pointer.digest)

    def _pointer(self) -> tuple[Pointer, str]:
        """Return what head.json says, never something older than this process has seen already."""
        for wait in (*LAGS, None):
            found = self._bucket.get(HEAD)
            pointer = Pointer.from_bytes(found.data) if found is not None else None
            known = self._newest
            if found is not None and pointer is not None:
                if known is None or (pointer.serial, pointer.fence) >= (known.serial, known.fence):
                    self._newest = pointer
                    return pointer, found.tag
            elif known is None:
                break
            if wait is not None:
                time.sleep(wait)
        if self._newest is None and not self.exists():
            raise StoreError("No state", f"{self} was never initialised. Run mlplan init.")
        if self._newest is None or found is None:
            raise StoreDamaged("State head is gone", f"{self}head.json existed after init and is absent.")
        raise StoreDamaged("State head is older than before", f"{self}head.json went back below {self._newest.serial}.")

    def read_log(self, serial: int) -> Iterator[bytes]:
        """Yield the lines after snapshot `serial`. Raises: StoreDamaged when a slot in the middle is missing or damaged."""
        yield from self._log.lines(serial)

    def read_damaged_log(self, serial: int) -> Iterator[bytes]:
        """Yield what there is of a log, whatever is wrong with it."""
        yield from self._log.salvage(serial)

    def append(self, serial: int, line: bytes, lock: Lock) -> None:
        """Append one line or several in one object; return when it is stored. Raises: Conflict, StoreError."""
        held, facts = _ours(lock)
        with self._mutex, writing(held):
            if facts.pointer is None or facts.pointer.serial != serial:
                raise Conflict("State was changed by somebody else", f"The head of {self} is not at serial {serial}.")
            self._log.append(serial, line, held.fence)

    def swap_head(self, expected: Head, document: bytes, serial: int, lock: Lock) -> Head:
        """Replace the head if it is still `expected`. Raises: Conflict, StoreError."""
        held, facts = _ours(lock)
        if serial <= expected.serial:
            raise StoreError("Wrong serial", f"Serial {serial} cannot follow {expected.serial}.")
        common.check_serial(document, serial)
        with self._mutex, writing(held):
            present = facts.pointer
            if present is None or (present.serial, present.digest) != (expected.serial, expected.tag):
                raise Conflict(
                    "State was changed by somebody else", f"{self} is not at serial {expected.serial} any more."
                )
            return self._replace(document, serial, held, facts)

    def _replace(self, document: bytes, serial: int, held: LeaseLock, facts: Held) -> Head:
        pointer = Pointer(
            serial, self._keep(serial, document), common.tag_of(document), held.fence, secrets.token_hex(8)
        )
        tag = self._swap_head(pointer, facts.tag) if facts.tag is not None else self._create_head(pointer)
        if tag is None:
            held.lose()
            raise leases.taken_away()
        held.facts = Held(pointer, tag)
        self._newest = pointer
        self._log.begin(serial, held.fence, fresh=True)
        self._tidy(pointer)
        return Head(serial, document, pointer.digest)

    def _tidy(self, pointer: Pointer) -> None:
        """Remove logs that no reader can be at any more, and snapshots that need not be kept."""
        listed = list(self._bucket.list("history/"))
        kept = list(_snapshots(listed))
        before = max((serial for serial, _, _ in kept if serial < pointer.serial), default=pointer.serial)
        self._log.remove_before(before)
        leftovers = [key for serial, key, _ in kept if serial == pointer.serial and key != pointer.key]
        kept = [item for item in kept if item[1] not in leftovers]
        for key in [*leftovers, *common.superfluous(kept, _pins(listed), time.time())]:
            self._bucket.delete(f"history/{key}.zst")

    def replace_damaged(self, document: bytes, serial: int, lock: Lock) -> Head:
        """Put `document` in place of any head; what was there is copied to damaged/."""
        held, facts = _ours(lock)
        common.check_serial(document, serial)
        if serial < self.next_serial():
            raise StoreError("Wrong serial", f"The document must have serial {self.next_serial()} or higher.")
        with self._mutex, writing(held):
            stamp = f"damaged/{int(time.time())}-{secrets.token_hex(4)}"
            found = self._bucket.get(HEAD)
            if found is not None:
                self._bucket.put(f"{stamp}/head.json", found.data)
            for item in list(self._bucket.list("log/")):
                slot = self._bucket.get(item.key)
                if slot is not None:
                    self._bucket.put(f"{stamp}/{item.key}", slot.data)
            if facts.pointer is None:
                facts = Held(None, found.tag if found is not None else None)
            return self._replace(document, serial, held, facts)

    def next_serial(self) -> int:
        """Return a serial higher than everything that was ever here, as far as the bucket tells."""
        found = self._bucket.get(HEAD)
        try:
            present = Pointer.from_bytes(found.data).serial if found is not None else 0
        except StoreDamaged:
            present = 0
        return max([present, *(serial for serial, _, _ in self._snapshots()), *self._log.serials()]) + 1

    def _keep(self, serial: int, document: bytes) -> str:
        key = common.snapshot_key(serial, document)
        self._bucket.put(f"history/{key}.zst", common.pack(document))
        return key

    def keep_history(self, serial: int, document: bytes) -> str:
        """Keep a snapshot of another store that moves here; return its key."""
        common.check_serial(document, serial)
        return self._keep(serial, document)

    def _snapshots(self) -> Iterator[tuple[int, str, float]]:
        return _snapshots(self._bucket.list("history/"))

    def history(self) -> list[tuple[int, str]]:
        """Return (serial, key) of kept snapshots, newest first."""
        return sorted(((serial, key) for serial, key, _ in self._snapshots()), reverse=True)

    def read_history(self, key: str) -> bytes:
        """Return a kept snapshot. Raises: StoreDamaged."""
        found = self._bucket.get(f"history/{common.check_snapshot_key(key)}.zst")
        if found is None:
            raise StoreDamaged("No such snapshot", f"The history holds no {key}.")
        return common.unpack(found.data, key)

    def pin(self, key: str) -> None:
        """Keep a snapshot for ever. Raises: StoreDamaged when it is absent or not whole."""
        self.read_history(key)
        self._bucket.put(f"history/{key}.pin", b"")

    def pinned(self) -> list[str]:
        """Return the keys of snapshots that are kept for ever."""
        return _pins(self._bucket.list("history/"))

    def lock(self, holder: Holder, timeout: float) -> LeaseLock:
        """Take the lock within `timeout` seconds, and take everything from former holders. Raises: LockHeld, StoreError."""
        lock = leases.take(self._cell(), holder, timeout, self._stale_after)
        try:
            with self._mutex:
                lock.facts = self._fence(lock.fence)
        except BaseException:
            lock.release()
            raise
        return lock

    def _fence(self, fence: int) -> Held:
        """Make every tag and slot that a former holder knows worthless; return the head as it is then."""
        for _ in range(RACES):
            found = self._bucket.get(HEAD)
            try:
                pointer = Pointer.from_bytes(found.data) if found is not None else None
            except StoreDamaged:
                pointer = None
            if found is None or pointer is None:  # for repair: nothing of a former holder fits any more
                for serial in self._log.serials():
                    self._log.begin(serial, fence)
                return Held(None, found.tag if found else None)
            if pointer.fence > fence:
                raise leases.taken_away()
            fenced = Pointer(pointer.serial, pointer.key, pointer.digest, fence, secrets.token_hex(8))
            tag = self._swap_head(fenced, found.tag)
            if tag is not None:
                self._newest = fenced
                self._log.begin(fenced.serial, fence)
                return Held(fenced, tag)
        raise StoreError("The store does not settle", f"{self}head.json changed at each of {RACES} looks. Run again.")

    def holder(self) -> Holder | None:
        """Return who holds the lock now, None when nobody does."""
        note, _ = self._cell().read()
        return note.holder if note is not None and note.condition == "held" else None

    def break_lock(self) -> Holder | None:
        """Take the lock away from its holder; return who it was, None when nobody held it."""
        note, holder = leases.take_away(self._cell())
        with self._mutex:
            self._fence(note.fence)
        return holder

    def put_blob(self, key: str, data: bytes) -> None:
        """Store `data` under a content key. Raises: StoreError."""
        self._bucket.create(f"blobs/{common.check_blob_key(key, data)}", data)

    def get_blob(self, key: str) -> bytes | None:
        """Return a blob, or None. Raises: StoreDamaged."""
        found = self._bucket.get(f"blobs/{common.check_blob_key(key)}")
        if found is not None and not common.blob_matches(key, found.data):
            raise StoreDamaged("Blob is damaged", f"{key} holds other bytes than were stored.")
        return found.data if found is not None else None

    def blobs(self) -> Iterator[str]:
        """Yield the keys of all blobs."""
        for item in self._bucket.list("blobs/"):
            yield item.key.removeprefix("blobs/")

    def workspaces(self) -> list[str]:
        """Return the workspaces that have a state under the same key."""
        folder = self._bucket.prefix.rstrip("/").rpartition("/")[0] + "/"
        above = Bucket(self._bucket.client, self._bucket.name, folder, {})
        keys = (item.key.split("/") for item in above.list(""))
        return sorted({parts[0] for parts in keys if len(parts) == 2 and parts[1] == MARKER})

    def remove(self, lock: Lock) -> None:
        """Remove this workspace, its history included; its lock goes with it. Raises: Conflict, StoreError."""
        held, facts = _ours(lock)
        with self._mutex, writing(held):
            if (
                facts.tag is None
                or facts.pointer is None
                or self._swap_head(facts.pointer.renewed(), facts.tag) is None
            ):
                raise leases.taken_away()
            # The marks of a state go first: a kill in the middle leaves rubbish, not half a state.
            for key in (MARKER, HEAD):
                self._bucket.delete(key)
            for item in list(self._bucket.list("")):
                self._bucket.delete(item.key)
            held.lose()

    def _cell(self) -> LockObject:
        return LockObject(self._bucket)


def _snapshots(listed: Iterable[Listed]) -> Iterator[tuple[int, str, float]]:
    """Yield (serial, key, written) of the snapshots in a listing of the history."""
    for item in listed:
        match = re.fullmatch(r"history/((\d{1,15})-[0-9a-f]{16})\.zst", item.key)
        if match:
            yield int(match[2]), match[1], item.written


def _pins(listed: Iterable[Listed]) -> list[str]:
    """Return the keys of snapshots that a listing of the history shows as pinned."""
    return [i.key.removeprefix("history/").removesuffix(".pin") for i in listed if i.key.endswith(".pin")]


def _ours(lock: Lock) -> tuple[LeaseLock, Held]:
    if not isinstance(lock, LeaseLock) or not isinstance(lock.facts, Held):
        raise StoreError("Wrong lock", "The lock belongs to another kind of store.")
    return lock, lock.facts
