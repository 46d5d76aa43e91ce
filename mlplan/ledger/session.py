"""Reading and writing the state through a store: `Ledger` opens it, `Session` is one run that writes.

Intent is durable before `intent` returns. Threads that write at the same moment share one append (group commit). The
first error of the store ends the session: nothing is retried, what is on disk stays as it is, and the next run goes
on from there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlplan.ledger import audit, codec
from mlplan.ledger.commit import Commit
from mlplan.ledger.damage import damaged
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.journal import Entry, EntryType, Reading, read, seed_of
from mlplan.ledger.plain import plain
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.replay import Builder, compact, replay_read
from mlplan.ledger.rescue import Brought, Rescue, check, why_not
from mlplan.spi.store import Conflict, Head, Holder, Lock, Store, StoreDamaged, StoreError

READ_TRIES = 5


@dataclass(frozen=True)
class Opened:
    """What a store holds now: its head, the decoded snapshot, the journal after it, and the state that follows."""

    head: Head
    snapshot: codec.Snapshot
    journal: Reading
    state: State


def open_store(store: Store) -> Opened:
    """Return what the store holds, read without a lock. Raises: StoreError and its kinds."""
    for attempt in range(READ_TRIES):
        head = store.read_head()
        try:
            snapshot = codec.decode(head.document)
            if snapshot.state.serial != head.serial:
                raise damaged(f"The document says serial {snapshot.state.serial}, the store says {head.serial}.")
            journal = read(store.read_log(head.serial), seed_of(snapshot.checksum))
            return Opened(head, snapshot, journal, replay_read(snapshot.state, journal.entries))
        except StoreDamaged:
            # A writer may have replaced the head between the two reads; then the next look is whole.
            if attempt + 1 == READ_TRIES or store.read_head().tag == head.tag:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


class Ledger:
    """The state of one workspace in a store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time, rescue: Rescue | None = None) -> None:
        self._store = store
        self._clock = clock
        self._rescue = rescue

    def exists(self) -> bool:
        """Tell whether this state was initialised, even if it is damaged now."""
        return self._store.exists()

    def initialise(self, lineage: str | None = None) -> State:
        """Write the sealed snapshot of serial 0 and return it. Raises: Conflict when there is a state already."""
        state = State(lineage=lineage or str(uuid.uuid4()))
        self._store.initialise(codec.encode(state))
        return state

    def open_read(self) -> State:
        """Return the present state without a lock. Raises: StoreDamaged and other StoreErrors."""
        return open_store(self._store).state

    def begin(
        self,
        run: str,
        holder: Holder,
        operation: str,
        timeout: float = 0.0,
        command: str = "",
        lineage: str | None = None,
    ) -> Session:
        """Take the lock, read, replay, and write `run_begin`. Units: `timeout` seconds.

        What an earlier run left unfinished in the journal is folded into a new snapshot first, so that this run
        writes to a journal of its own. lineage: refuse when the state has another one. Raises: LockHeld,
        StoreDamaged, Conflict, StoreError.
        """
        lock = self._store.lock(replace(holder, run=run, operation=operation), timeout)
        try:
            opened = open_store(self._store)
            if lineage is not None and opened.state.lineage != lineage:
                raise Conflict("State has another lineage", f"It is {opened.state.lineage}, expected was {lineage}.")
            if opened.journal.entries or opened.journal.torn:
                opened = fold(self._store, opened, lock)
            session = Session(self._store, opened, lock, run, holder, self._clock, self._rescue)
            session.open(operation, command)
            return session
        except BaseException:
            lock.release()
            raise

    def bring_in(self, data: bytes, run: str, holder: Holder, timeout: float = 0.0) -> Brought:
        """Take in the entries of a rescue file that the state still waits for. Raises: LockHeld, StoreError."""
        if self._rescue is None:
            raise StoreError("Rescue files cannot be read", "This state was opened without a folder for them.")
        rescued = self._rescue.read(data)
        check(rescued, self.open_read().lineage)
        with self.begin(run, holder, "state push", timeout) as session:
            before = session.state.serial
            skipped = []
            for entry in rescued.entries:
                why = why_not(entry, rescued, before, session.state.operations, session.state.used_plans)
                if why is None:
                    session.take_over(entry)
                else:
                    skipped.append((str(entry.data.get("address", "")), entry.type, why))
            taken = len(rescued.entries) - len(skipped)
            session.decision(
                "", "state push", f"{taken} entries that run {rescued.run} could not write", outcome="done"
            )
            session.end("rescued entries taken in")
        return Brought(taken, tuple(skipped))

    def break_lock(self) -> Holder | None:
        """Take the lock away from its holder, which can write nothing from then on; return who it was."""
        return self._store.break_lock()


def fold(store: Store, opened: Opened, lock: Lock) -> Opened:
    """Return the store after its journal was folded into a new snapshot."""
    return swap(store, opened, opened.state, lock)


def swap(store: Store, opened: Opened, state: State, lock: Lock) -> Opened:
    """Put `state` into the store as the next snapshot, with a fresh journal."""
    kept = audit.keep(store, state)
    following = compact(replace(kept, serial=opened.head.serial + 1))
    document = codec.encode(following, opened.snapshot.checksum)
    snapshot = codec.decode(document)  # before it is written: nothing may stand in the store that cannot be read
    head = store.swap_head(opened.head, document, following.serial, lock)
    return Opened(head, snapshot, Reading((), 0), snapshot.state)


class Session:
    """One run that writes the state. Thread-safe. Use it with `with`: leaving without `end` leaves the run
    open for recovery.
    """

    def __init__(
        self, store: Store, opened: Opened, lock: Lock, run: str, holder: Holder, clock: Callable[[], float],
        rescue: Rescue | None = None,
    ) -> None:  # fmt: skip
        self.run = run
        self.who = holder.who
        self._host = holder.host
        self._store = store
        self._opened = opened
        self._lock = lock
        self._clock = clock
        keep = rescue.keeper(opened.state.lineage, opened.head.serial, run) if rescue is not None else None
        seed = seed_of(opened.snapshot.checksum)
        self._commit = Commit(store, opened.head.serial, seed, lock, Builder(opened.state), keep)
        interrupted = opened.state.open_run
        self.interrupted = tuple(dict.fromkeys((*opened.state.unswept, *([interrupted] if interrupted else []))))
        """Runs before that did not end: their intents are in the state, the world is to be swept for their objects."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> State:
        """The state with everything that is durable so far. Its serial is the one the run began with."""
        return self._commit.state()

    def record(self, address: str) -> Record | None:
        """Return the present record at an address."""
        return self._commit.record(address)

    def operation(self, address: str) -> Operation | None:
        """Return the open intent at an address."""
        return self._commit.operation(address)

    def open(self, operation: str, command: str) -> None:
        """Write `run_begin`; called by `Ledger.begin`."""
        serial = self._opened.head.serial
        self._write(
            "run_begin", who=self.who, host=self._host, operation=operation, command=command or operation, serial=serial
        )

    def intent(self, operation: Operation) -> Operation:
        """Make durable what is about to happen; only then may the side effect leave. Returns the operation with run
        and time.

        The same step with the same token again is a redo. Raises: LedgerMisuse when another intent is open at the
        address.
        """
        stamped = replace(operation, run=self.run, started=operation.started or self._clock())
        self._write("intent", stamped.address, operation=codec.operation_json(stamped))
        return stamped

    def accepted(self, address: str, handle: Mapping[str, Any]) -> None:
        """Make durable what finds the running thing again; only then wait for it."""
        self._write("accepted", address, handle=handle)

    def progress(self, address: str, document: Mapping[str, Any]) -> None:
        """Make durable how far a long operation is; only then may its next effect leave."""
        self._write("progress", address, document=document)

    def put_record(self, record: Record) -> Record:
        """Keep a record while its operation goes on, or without one (what observing found). Returns it
        with its serials.
        """
        stamped = self._stamp(record)
        self._write("record", record.address, record=codec.record_json(stamped))
        return stamped

    def done(
        self,
        address: str,
        step: str,
        record: Record | None = None,
        evidence: Iterable[Evidence] = (),
        outcome: str = "done",
        summary: str = "",
        *,
        removed: bool = False,
    ) -> Record | None:
        """Close the intent at `address` with its outcome. record: the new record; None keeps what is there. removed:
        the object is
        gone and so is its record; its generation is remembered. Returns the record with its serials."""
        stamped = self._stamp(record) if record is not None else None
        self._write(
            "done",
            address,
            step=step,
            record=codec.record_json(stamped) if stamped is not None else None,
            removed=removed,
            evidence=[item.to_json() for item in evidence],
            outcome=outcome,
            summary=summary,
            who=self.who,
        )
        return stamped

    def failed(self, address: str, step: str, reason: str, evidence: Iterable[Evidence] = ()) -> None:
        """Close the intent: the effect is known not to be there. When that is not known, say `unknown`."""
        documents = [item.to_json() for item in evidence]
        self._write("failed", address, step=step, reason=reason, evidence=documents, who=self.who)

    def unknown(self, address: str, step: str, reason: str) -> None:
        """Say that the outcome cannot be told; the intent stays open for the next run."""
        self._write("unknown", address, step=step, reason=reason, who=self.who)

    def abort(self, address: str, step: str, reason: str) -> None:
        """Close the intent: nothing was started."""
        self._write("abort", address, step=step, reason=reason, who=self.who)

    def adopt(self, record: Record, reason: str) -> Record:
        """Take an object of the world into the state, closing an intent that was open for it."""
        stamped = self._stamp(record)
        self._write("adopt", record.address, record=codec.record_json(stamped), reason=reason, who=self.who)
        return stamped

    def taint(self, address: str, reason: str) -> None:
        """Mark a record as one to be replaced."""
        self._write("taint", address, reason=reason, who=self.who)

    def forget(self, address: str, reason: str = "") -> None:
        """Drop a record and an open intent without touching the world."""
        self._write("forget", address, reason=reason, who=self.who)

    def move(self, moves: Mapping[str, str]) -> None:
        """Give records other addresses, all of them in one entry, so that no crash leaves one under both or neither."""
        self._write("move", moves=dict(moves), who=self.who)

    def evidence(self, evidence: Iterable[Evidence]) -> None:
        """Keep evidence that no step's outcome carries."""
        documents = [item.to_json() for item in evidence]
        if documents:
            self._write("evidence", evidence=documents)

    def decision(
        self, address: str, what: str, why: str = "", who: str = "", outcome: str = "", evidence: Iterable[str] = ()
    ) -> None:
        """Keep a decision in the history: a promotion, an override, a rejection. evidence: digests."""
        facts = {"what": what, "why": why, "who": who or self.who, "outcome": outcome, "evidence": list(evidence)}
        self._write("decision", address, **facts)

    def outputs(self, values: Mapping[str, Any]) -> None:
        """Replace the outputs."""
        self._write("outputs", values=values)

    def swept(self, runs: Iterable[str], removed: Iterable[Mapping[str, str]]) -> None:
        """Say that the world was searched for what interrupted runs left. removed: address and name of each."""
        self._write("swept", runs=list(runs), removed=[dict(item) for item in removed])

    def plan_used(self, identity: str) -> None:
        """Remember that a saved plan was used."""
        self._write("plan_used", id=identity)

    def take_over(self, entry: Entry) -> None:
        """Write an entry of another run as it is. Raises: LedgerMisuse when it does not fit the state."""
        self._commit.write(entry, str(entry.data.get("address", "")))

    def end(self, outcome: str) -> State:
        """Close the run: fold the journal into the next snapshot and give the lock back. Returns the new state.

        Raises: StoreError; then the journal holds everything, and the next run folds it.
        """
        try:
            self._write("run_end", outcome=outcome)
            return swap(self._store, self._opened, self._commit.close(), self._lock).state
        finally:
            self.close()

    def close(self) -> None:
        """Give the lock back. Without `end` the run stays open in the journal, and the next run recovers it."""
        if not self._commit.closed:
            self._commit.close()
        self._lock.release()

    def _stamp(self, record: Record) -> Record:
        present = self._commit.record(record.address)
        serial = self._opened.head.serial + 1
        kept = present is not None and present.generation == record.generation
        created = present.created_serial if present is not None and kept else serial
        attributes = plain(record.attributes, f"{record.address}: attributes")
        return replace(record, attributes=attributes, created_serial=created, updated_serial=serial)

    def _write(self, kind: EntryType, address: str = "", **data: Any) -> None:
        facts = {"address": address, **data} if address else data
        self._commit.write(Entry(kind, self._clock(), self.run, plain(facts, kind)), address)


__all__ = ["Ledger", "Opened", "Session", "StoreError", "fold", "open_store", "swap"]
