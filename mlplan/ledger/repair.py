"""Ways out of a damaged state: look, put a kept snapshot back, or take the file as it was edited. Nothing here throws
bytes away: what is replaced is kept beside the new state, and the serial always rises, so that plans and journals of
before cannot meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mlplan.ledger import audit, codec
from mlplan.ledger.damage import damaged
from mlplan.ledger.journal import Entry, read, salvage, seed_of
from mlplan.ledger.plain import plain
from mlplan.ledger.records import Happening, State
from mlplan.ledger.replay import LedgerMisuse, apply, compact, following, replay_read
from mlplan.ledger.session import open_store
from mlplan.spi.store import Holder, Store, StoreDamaged, StoreError


@dataclass(frozen=True)
class Kept:
    """A snapshot of the history. reason: why it cannot be used, None when it is good. entries: how many journal entries
    follow it in the store and would be replayed on it."""

    serial: int
    key: str
    records: int = 0
    lineage: str = ""
    entries: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Report:
    """What is wrong, None when nothing is, and what could be put back, newest first. editable: why the document as it
    stands cannot be accepted, None when it can."""

    damage: str | None
    kept: tuple[Kept, ...]
    not_editable: str | None


@dataclass(frozen=True)
class Repaired:
    """The state after a repair. lost: entries of the journal that could not be read; their bytes are kept beside it."""

    state: State
    lost: int


def inspect(store: Store) -> Report:
    """Return what is wrong with a state and what can be done. Raises: StoreError when the store cannot be read
    at all.
    """
    try:
        open_store(store)
        damage = None
    except StoreDamaged as error:
        damage = str(error)
    try:
        _edited(store)
        not_editable = None
    except StoreDamaged as error:
        not_editable = str(error)
    return Report(damage, tuple(_kept(store, serial, key) for serial, key in store.history()), not_editable)


def _kept(store: Store, serial: int, key: str) -> Kept:
    try:
        snapshot = codec.decode(store.read_history(key))
        entries = len(_follow(store, snapshot)[0])
    except StoreError as error:
        return Kept(serial, key, reason=error.summary)
    return Kept(serial, key, len(snapshot.state.records), snapshot.state.lineage, entries)


def restore(store: Store, key: str, holder: Holder, timeout: float = 0.0) -> Repaired:
    """Put a kept snapshot back as a new serial, with the journal replayed on it that followed it, if it is still there.

    The run counts as interrupted, so that the next apply sweeps the world for objects that the state does not name.
    Raises: LockHeld, StoreDamaged when the snapshot is not good.
    """

    def make() -> tuple[State, str, int]:
        snapshot = codec.decode(store.read_history(key))
        entries, lost = _follow(store, snapshot)
        return _fit(snapshot.state, entries), snapshot.checksum, lost

    return _replace(store, make, f"restored snapshot {key}", holder, timeout)


def accept(store: Store, holder: Holder, timeout: float = 0.0) -> Repaired:
    """Take the document as it was edited by hand, replay the journal on it and seal it again as a new serial.

    Raises: LockHeld, StoreDamaged when the document is no state document even apart from its seal.
    """

    def make() -> tuple[State, str, int]:
        state, checksum = _edited(store)
        entries, lost = _follow(store, codec.Snapshot(state, checksum, None))
        return _fit(state, entries), checksum, lost

    return _replace(store, make, "accepted the document as edited", holder, timeout)


def _replace(
    store: Store, make: Callable[[], tuple[State, str, int]], what: str, holder: Holder, timeout: float
) -> Repaired:
    lock = store.lock(holder, timeout)
    try:
        state, parent, lost = make()
        summary = what if not lost else f"{what}; {lost} damaged lines of the journal were set aside"
        line = Happening(holder.since, "", "repair", summary, "done", holder.run, holder.who)
        state = replace(
            state,
            serial=max(store.next_serial(), state.serial + 1),
            unswept=tuple(dict.fromkeys((*state.unswept, *([state.open_run] if state.open_run else [])))),
            open_run="repair",
            history=(*state.history, following(state.history, line)),
        )
        document = codec.encode(compact(audit.keep(store, state)), parent)
        repaired = codec.decode(document).state
        store.replace_damaged(document, state.serial, lock)
        return Repaired(repaired, lost)
    finally:
        lock.release()


def _follow(store: Store, snapshot: codec.Snapshot) -> tuple[tuple[Entry, ...], int]:
    """Return the entries that still follow a snapshot in the store, as far as they can be read, and the number
    of lines that cannot.
    """
    lines = list(store.read_damaged_log(snapshot.state.serial))
    seed = seed_of(snapshot.checksum)
    try:
        reading = read(lines, seed)
        return reading.entries, 0
    except StoreDamaged:
        reading = salvage(lines, seed)
        return reading.entries, reading.torn


def _fit(state: State, entries: Iterable[Entry]) -> State:
    """Return the state after the entries, leaving out those that do not fit a state that was edited or rolled back."""
    entries = tuple(entries)
    try:
        return replay_read(state, entries)
    except StoreDamaged:
        for entry in entries:
            try:
                state = apply(state, entry)
            except LedgerMisuse:
                continue  # it speaks of an object that the edited document does not know
        return state


def _edited(store: Store) -> tuple[State, str]:
    """Return the state of the present document whatever its seal says, and the checksum it claims."""
    document = codec.strict(store.read_head().document)
    checksum = document.pop("checksum", "")
    try:
        plain(document, "state")
    except (ValueError, RecursionError) as error:
        raise damaged(f"The document cannot be accepted: {error}.") from None
    return codec.from_document(codec.upgrade(document)), str(checksum)
