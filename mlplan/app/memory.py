"""Use cases around the state itself: look, move, forget, pull, push, roll back, repair, unlock. They work with broken files too."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplan.app.compose import Settings, open_project, plug_in
from mlplan.app.decide import resolve_address
from mlplan.app.run import holder
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.ledger import codec, repair, rewrite
from mlplan.ledger.records import State
from mlplan.ledger.rescue import Brought
from mlplan.ledger.session import Ledger, open_store
from mlplan.spi.store import Holder, Store, StoreFactory

_MATTERS = re.compile(r'\b(backend|encryption)\s+("|\w|\{)')
_ADDRESS = re.compile(r'[a-z_]+\.[A-Za-z_][\w-]*(\[("[^"]*"|\d+)\])?(\.[a-z_]+(\[("[^"]*"|\d+)\])?)*')


@dataclass(frozen=True)
class Memory:
    """The state of a project. damaged_files: mistakes in the files that did not keep us from opening it."""

    store: Store
    ledger: Ledger
    problems: tuple[Diagnostic, ...] = ()

    def read(self) -> State:
        """Return the present state. Raises: DiagnosticError (not-initialised), StoreError."""
        self.refuse_uninitialised()
        return self.ledger.open_read()

    def refuse_uninitialised(self) -> None:
        """Raise DiagnosticError (not-initialised) when there never was a state."""
        if not self.ledger.exists():
            detail = "There is no state for this project yet. Make one:\n    mlplan init"
            raise DiagnosticError(Diagnostic("not-initialised", "This project is not initialised", detail))


@dataclass(frozen=True)
class Snapshot:
    """A line of `state history`. reason: why it cannot be read, None when it can."""

    serial: int
    key: str
    pinned: bool
    records: int = 0
    last: str = ""
    at: float | None = None
    reason: str | None = None


def open_memory(settings: Settings) -> Memory:
    """Return the state of a project, even when its files have mistakes, as long as they do not say where the state is.

    Raises: DiagnosticError.
    """
    try:
        project = open_project(settings)
        return Memory(project.store, project.ledger)
    except DiagnosticError as error:
        if any(_MATTERS.search(_text(path)) for path in settings.root.glob("*.mlplan.hcl")):
            raise
        factory: StoreFactory = plug_in("mlplan.stores", "local", "state store")
        store = factory({}, settings.root, settings.workspace)
        if not store.exists():
            raise
        return Memory(store, Ledger(store), error.diagnostics)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def addresses(state: State, names: Sequence[str]) -> list[str]:
    """Return the addresses at or below the given ones, sorted; all when none is given. Raises: DiagnosticError."""
    if not names:
        return sorted(state.records)
    found: set[str] = set()
    for name in names:
        below = {a for a in state.records if a == name or a.startswith((name + ".", name + "["))}
        found |= below or {resolve_address(name, state)}
    return sorted(found)


def move(memory: Memory, source: str, target: str, timeout: float, *, dry_run: bool = False) -> dict[str, str]:
    """Give a record, and those below it, another address; return what moved. Raises: DiagnosticError."""
    memory.refuse_uninitialised()
    if _ADDRESS.fullmatch(target) is None:
        raise _refused(f'"{target}" is no address. An address looks like model.flights or data_contract.daily["eu"].')
    state = memory.read()
    moves = _moves(source, target, state)
    if dry_run:
        return moves
    run = _run()
    with memory.ledger.begin(
        run, holder(run, "state mv"), "state mv", timeout, f"state mv {source} {target}"
    ) as session:
        moves = _moves(source, target, session.state)
        session.move(moves)
        session.end(f"{source} is now {target}")
    return moves


def _moves(source: str, target: str, state: State) -> dict[str, str]:
    below = [a for a in state.records if a == source or a.startswith((source + ".", source + "["))]
    if not below:
        source = resolve_address(source, state)
        below = [source]
    if source.partition(".")[0] != target.partition(".")[0]:
        raise _refused(f"{source} cannot become {target}: a record keeps its kind.")
    moves = {address: target + address[len(source) :] for address in below}
    taken = sorted(new for new in moves.values() if new in state.records and new not in moves)
    if taken:
        raise _refused(f"{', '.join(taken)} is in the state already. Move or forget it first.")
    busy = sorted(a for a in moves if a in state.operations)
    if busy:
        raise _refused(f"{', '.join(busy)} has an unfinished step. Run mlplan apply first, so that it is taken up.")
    return moves


def forget(
    memory: Memory, names: Sequence[str], timeout: float, confirm: Callable[[list[str]], bool], *, dry_run: bool = False
) -> list[str]:
    """Drop records without touching the world; return what was dropped. Raises: DiagnosticError."""
    found = addresses(memory.read(), names)
    if dry_run or not found or not confirm(found):
        return found if dry_run else []
    run = _run()
    command = f"state rm {' '.join(names)}"
    with memory.ledger.begin(run, holder(run, "state rm"), "state rm", timeout, command) as session:
        found = addresses(session.state, names)
        for address in found:
            session.forget(address, "by hand; the world was not touched")
        session.end(f"forgot {len(found)}")
    return found


def pull(memory: Memory) -> bytes:
    """Return the present state as a sealed document."""
    memory.refuse_uninitialised()
    return rewrite.pulled(open_store(memory.store))


def push(memory: Memory, document: bytes, timeout: float, *, force: bool) -> State:
    """Make a document the present state. Raises: StoreError, DiagnosticError."""
    memory.refuse_uninitialised()
    return rewrite.push(memory.store, document, holder(_run(), "state push"), force=force, timeout=timeout)


def bring_in(memory: Memory, document: bytes, timeout: float) -> Brought:
    """Take in what a run could not write when its store failed. Raises: StoreError."""
    memory.refuse_uninitialised()
    run = _run()
    return memory.ledger.bring_in(document, run, holder(run, "state push"), timeout)


def snapshots(memory: Memory) -> list[Snapshot]:
    """Return the kept snapshots, newest first."""
    memory.refuse_uninitialised()
    pinned = set(memory.store.pinned())
    return [_snapshot(memory.store, serial, key, key in pinned) for serial, key in memory.store.history()]


def _snapshot(store: Store, serial: int, key: str, pinned: bool) -> Snapshot:
    from mlplan.spi.store import StoreError

    try:
        state = codec.decode(store.read_history(key)).state
    except StoreError as error:
        return Snapshot(serial, key, pinned, reason=error.summary)
    last = state.history[-1] if state.history else None
    words = f"{last.action}: {last.outcome}" if last else "made by init"
    return Snapshot(serial, key, pinned, len(state.records), words, last.at if last else None)


def pin(memory: Memory, name: str) -> str:
    """Keep a snapshot for ever; return its key."""
    key = key_of(memory, name)
    memory.store.pin(key)
    return key


def key_of(memory: Memory, name: str) -> str:
    """Return the key of a snapshot named by its key, the beginning of one, or its serial. Raises: DiagnosticError."""
    memory.refuse_uninitialised()
    kept = memory.store.history()
    found = [key for serial, key in kept if name in (key, str(serial))] or [k for _, k in kept if k.startswith(name)]
    if len(found) == 1:
        return found[0]
    what = "Several snapshots are" if found else "No snapshot is"
    detail = f'{what} called "{name}". Those that are kept:\n    mlplan state history'
    hint = suggestion(name, [key for _, key in kept]) if not found else f"One of {', '.join(found)}?"
    raise DiagnosticError(Diagnostic("unknown-snapshot", "There is no such snapshot", detail, hint=hint))


def state_at(memory: Memory, name: str | None) -> State:
    """Return the state of a snapshot, the present one without a name."""
    if name is None:
        return memory.read()
    return codec.decode(memory.store.read_history(key_of(memory, name))).state


def before(memory: Memory) -> str:
    """Return the key of the snapshot before the present one. Raises: DiagnosticError when there is none."""
    kept = memory.store.history()
    serial = memory.store.read_head().serial
    older = [key for number, key in kept if number < serial]
    if not older:
        raise _refused("There is no snapshot before the present one to compare with.")
    return older[0]


def rollback(memory: Memory, name: str, why: str, timeout: float) -> State:
    """Make a kept snapshot the present state. Raises: StoreError, DiagnosticError."""
    key = key_of(memory, name)
    return rewrite.rollback(memory.store, key, holder(_run(), "state rollback"), why, timeout)


def inspect(memory: Memory) -> repair.Report:
    """Return what is wrong with the state, and what could be put back."""
    memory.refuse_uninitialised()
    return repair.inspect(memory.store)


def restore(memory: Memory, name: str, timeout: float) -> repair.Repaired:
    """Put a kept snapshot back in place of a damaged state."""
    return repair.restore(memory.store, key_of(memory, name), holder(_run(), "state repair"), timeout)


def accept(memory: Memory, timeout: float) -> repair.Repaired:
    """Take the document as it was edited by hand."""
    memory.refuse_uninitialised()
    return repair.accept(memory.store, holder(_run(), "state repair"), timeout)


def unlock(memory: Memory, why: str) -> Holder | None:
    """Take the lock from whoever holds it, and keep in the audit log who did that and why."""
    memory.refuse_uninitialised()
    taken = memory.ledger.break_lock()
    if taken is not None:
        run = _run()
        mine = holder(run, "force-unlock")
        with memory.ledger.begin(run, mine, "force-unlock", 5.0, "force-unlock") as session:
            words = f"taken from {taken.who} on {taken.host} (process {taken.pid}, {taken.operation}, run {taken.run})"
            session.decision("", "force-unlock", why, mine.who, words)
            session.end(words)
    return taken


def _run() -> str:
    return uuid.uuid4().hex[:12]


def _refused(detail: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("state-refused", "The state cannot be changed like this", detail))
