"""Move a state from one store to another: blobs, the snapshot, then the history. Safe to repeat after a crash at any
moment; the old store keeps everything it had.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlplan.ledger import codec
from mlplan.ledger.session import fold, open_store
from mlplan.spi.store import Conflict, Holder, Store


@dataclass(frozen=True)
class Moved:
    """What went over. snapshots: of the history, the present one included."""

    lineage: str
    serial: int
    records: int
    snapshots: int
    blobs: int


def migrate(source: Store, target: Store, holder: Holder, timeout: float = 0.0) -> Moved:
    """Copy the state of `source` into `target`, which must be empty or hold the beginning of this same move.

    The source is locked meanwhile, and its journal folded first, so that the copy is one sealed snapshot. Raises:
    LockHeld, StoreDamaged, Conflict when the target holds another state.
    """
    lock = source.lock(holder, timeout)
    try:
        opened = open_store(source)
        if opened.journal.entries or opened.journal.torn:
            opened = fold(source, opened, lock)
        blobs = 0
        for key in source.blobs():
            data = source.get_blob(key)
            if data is not None:
                target.put_blob(key, data)
                blobs += 1
        _begin(target, opened.head.document, opened.head.serial)
        snapshots = _history(source, target)
        lock.verify()
        return Moved(opened.state.lineage, opened.head.serial, len(opened.state.records), snapshots, blobs)
    finally:
        lock.release()


def _begin(target: Store, document: bytes, serial: int) -> None:
    if not target.exists():
        target.initialise(document, serial)
        return
    found = open_store(target)
    # Compared by their seals: a store may keep the bytes in its own way, encrypted for example.
    if found.snapshot.checksum != codec.decode(document).checksum or found.journal.entries:
        raise Conflict(
            "The new store holds a state already",
            f"It has lineage {found.state.lineage} at serial {found.head.serial}. Nothing was changed. "
            "Choose an empty place, or remove what is there if nobody needs it.",
        )


def _history(source: Store, target: Store) -> int:
    present = set(target.history())
    pinned = set(source.pinned())
    kept = source.history()
    for serial, key in reversed(kept):
        there = key if (serial, key) in present else target.keep_history(serial, source.read_history(key))
        if key in pinned:
            target.pin(there)
    return len(kept)
