"""Changes of the state by hand: put a kept snapshot back, push a document. The serial always rises, the audit log goes on,
a used plan stays used, and whatever runs made since is searched for by the next apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlplan.ledger import codec
from mlplan.ledger.damage import damaged
from mlplan.ledger.plain import plain
from mlplan.ledger.records import Happening, Record, State
from mlplan.ledger.replay import following
from mlplan.ledger.session import Opened, fold, open_store, swap
from mlplan.spi.store import Conflict, Holder, Store, StoreError


@dataclass(frozen=True)
class Difference:
    """What differs at one address. fields: name -> (before, after), None where there is none."""

    address: str
    sign: str
    fields: Mapping[str, tuple[Any, Any]]


def diff(before: State, after: State) -> list[Difference]:
    """Return how two states differ, by address; outputs count as the address "output.NAME"."""
    found = []
    for address in sorted({*before.records, *after.records}):
        fields = _fields(_flat(before.records.get(address)), _flat(after.records.get(address)))
        sign = "+" if address not in before.records else "-" if address not in after.records else "~"
        if fields:
            found.append(Difference(address, sign, fields))
    for name in sorted({*before.outputs, *after.outputs}):
        old, new = before.outputs.get(name), after.outputs.get(name)
        if old != new:
            sign = "+" if name not in before.outputs else "-" if name not in after.outputs else "~"
            found.append(Difference(f"output.{name}", sign, {"value": (old, new)}))
    return found


def _flat(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {}
    own = {"kind": record.kind, "status": record.status, "generation": record.generation, "token": record.token}
    return {**own, "dependencies": list(record.dependencies), **record.attributes}


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys((*before, *after))
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def pulled(opened: Opened) -> bytes:
    """Return the present state as a sealed document, an unfinished journal folded in as the next run would do it."""
    if not opened.journal.entries:
        return opened.head.document
    return codec.encode(replace(opened.state, serial=opened.head.serial + 1), opened.snapshot.checksum)


def rollback(store: Store, key: str, holder: Holder, why: str, timeout: float = 0.0) -> State:
    """Make a kept snapshot the present state, as a new serial. Raises: LockHeld, StoreDamaged, StoreError."""
    lock = store.lock(holder, timeout)
    try:
        opened = open_store(store)
        if opened.journal.entries or opened.journal.torn:
            opened = fold(store, opened, lock)
        past = codec.decode(store.read_history(key)).state
        if past.lineage != opened.state.lineage:
            raise Conflict("Snapshot is of another state", f"{key} has lineage {past.lineage}.")
        what = f"to serial {past.serial} ({key})" + (f": {why}" if why else "")
        state = carried(past, opened.state, _line(holder, "rollback", what))
        return swap(store, opened, state, lock).state
    finally:
        lock.release()


def push(store: Store, document: bytes, holder: Holder, *, force: bool = False, timeout: float = 0.0) -> State:
    """Make a document the present state, as a new serial.

    It must belong to this state and be as new as it, and its seal must be whole. force: take it all the same. Raises:
    LockHeld, StoreDamaged, Conflict.
    """
    pushed = _readable(document, force)
    lock = store.lock(holder, timeout)
    try:
        opened = open_store(store)
        if opened.journal.entries or opened.journal.torn:
            opened = fold(store, opened, lock)
        present = opened.state
        if not force:
            _refuse_foreign(pushed, present)
        line = _line(holder, "push", f"a document of serial {pushed.serial}" + (", forced" if force else ""))
        goes_on = bool(present.history) and present.history[-1] in pushed.history
        base = replace(present, history=pushed.history) if goes_on else present
        state = carried(pushed, base, line)
        return swap(store, opened, state, lock).state
    finally:
        lock.release()


def _readable(document: bytes, force: bool) -> State:
    try:
        return codec.decode(document).state
    except StoreError:
        if not force:
            raise
    loose = codec.strict(document)
    loose.pop("checksum", None)
    try:
        plain(loose, "state")
    except (ValueError, RecursionError) as error:
        raise damaged(f"The document cannot be taken: {error}.") from None
    return codec.from_document(codec.upgrade(loose))


def _refuse_foreign(pushed: State, present: State) -> None:
    empty = present.serial == 0 and not present.records
    if pushed.lineage != present.lineage and not empty:
        raise Conflict(
            "The document belongs to another state",
            f"Its lineage is {pushed.lineage}, the state has {present.lineage}. Nothing was changed. If it shall replace "
            "this state all the same, push with --force.",
        )
    if pushed.serial < present.serial:
        raise Conflict(
            "The document is older than the state",
            f"Its serial is {pushed.serial}, the state has {present.serial}: somebody wrote meanwhile. Nothing was changed. "
            "Pull again and repeat your edit, or push with --force.",
        )


def carried(past: State, present: State, line: Happening) -> State:
    """Return `past` with what must never go back: audit log, used plans, generations, and what is still to be swept."""
    generations = dict(past.generations)
    for address, generation in (*present.generations.items(), *((a, r.generation) for a, r in present.records.items())):
        generations[address] = max(generation, generations.get(address, 0))
    known = {h.number for h in past.history}
    since = [h.run for h in present.history if h.number not in known]
    open_runs = [run for run in (past.open_run, present.open_run) if run]
    return replace(
        past,
        serial=present.serial,
        history=(*present.history, following(present.history, line)),
        audit=present.audit,
        used_plans=tuple(dict.fromkeys((*past.used_plans, *present.used_plans))),
        generations=generations,
        evidence={**present.evidence, **past.evidence},
        open_run=None,
        unswept=_runs((*past.unswept, *present.unswept, *open_runs, *since)),
    )


def _runs(runs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run for run in runs if run))


def _line(holder: Holder, action: str, summary: str) -> Happening:
    return Happening(holder.since, "", action, summary, "done", holder.run, holder.who)
