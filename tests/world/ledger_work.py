"""Work on a state whose every acknowledgement is remembered, and the questions that any survivor must answer with yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlplan.ledger import audit, names
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.session import Ledger, Session, open_store
from mlplan.spi.store import Holder, Store
from mlplan_state.files import Files
from mlplan_state.local import LocalStore

HOLDER = Holder("ada", "box", 1, 1_790_000_000.0, "apply", "")
ROOT = Path("/project")
LINEAGE = "7f3a1c52-0000-4000-8000-000000000000"
CLOCK = 1_790_000_000.0


@dataclass
class Promises:
    """What callers were told. begun: what was started and not answered yet, which may be there or not."""

    initialised: bool = False
    serial: int = -1
    records: dict[str, int] = field(default_factory=dict)
    begun: dict[str, int | None] = field(default_factory=dict)
    intents: set[str] = field(default_factory=set)

    def copy(self) -> Promises:
        return Promises(self.initialised, self.serial, dict(self.records), dict(self.begun), set(self.intents))


def local(files: Files, root: Path = ROOT) -> LocalStore:
    """Return a local store over these files."""
    return LocalStore({}, root, "default", files, clock=lambda: CLOCK)


class Work:
    """A few runs of creating, changing, removing; `promises` is right at every moment. It is told how to connect."""

    def __init__(self, connect: Callable[[], Store], addresses: int = 3, runs: int = 3) -> None:
        self.promises = Promises()
        self._connect = connect
        self._addresses = addresses
        self._runs = runs

    def all(self) -> None:
        """Do everything, from init on."""
        self.initialise()
        for run in range(1, self._runs + 1):
            self.run(f"run{run}", run, end=run != 2)

    def initialise(self) -> None:
        Ledger(self._connect(), clock=lambda: CLOCK).initialise(LINEAGE)
        self.promises.initialised = True
        self.promises.serial = 0

    def run(self, name: str, value: int, *, end: bool = True) -> None:
        """One run. end: whether it ends as it should, or leaves its run open and an intent behind."""
        ledger = Ledger(self._connect(), clock=lambda: CLOCK)
        with ledger.begin(name, HOLDER, "apply") as session:
            for number in range(self._addresses):
                self.put(session, f"thing.t{number}", value)
            if value == 3:
                self.remove(session, "thing.t0")
            if not end:
                self.intent(session, "thing.late")
                return
            session.decision("thing.t1", "override", "seen by hand")
            session.end("done")
            self.promises.serial = session.state.serial + 1

    def put(self, session: Session, address: str, value: int) -> None:
        """Create or change a thing."""
        promises = self.promises
        present = session.record(address)
        generation = present.generation if present else session.state.next_generation(address)
        token = names.token(LINEAGE, address, generation)
        promises.begun[address] = value
        if session.operation(address) is None:
            session.intent(Operation(address, f"{address}#put", "put", "thing", token))
        promises.intents.add(address)
        session.accepted(address, {"pid": value})
        session.done(
            address, f"{address}#put", Record(address, "thing", {"value": value}, token=token, generation=generation)
        )
        promises.records[address] = value
        promises.intents.discard(address)
        del promises.begun[address]

    def remove(self, session: Session, address: str) -> None:
        """Remove a thing."""
        token = names.token(LINEAGE, address, 1)
        self.promises.begun[address] = None
        session.intent(Operation(address, f"{address}#remove", "remove", "thing", token))
        session.done(address, f"{address}#remove", removed=True)
        self.promises.records.pop(address, None)
        del self.promises.begun[address]

    def intent(self, session: Session, address: str) -> None:
        """Begin something and be gone."""
        session.intent(Operation(address, f"{address}#put", "put", "thing", names.token(LINEAGE, address, 1)))
        self.promises.intents.add(address)


def broken_promise(store: Store, promises: Promises) -> str:
    """Return which promise the store breaks, empty when it keeps all. Reads only. Errors of the store come through."""
    if not promises.initialised and not store.exists():
        return ""
    opened = open_store(store)
    state = opened.state
    if state.lineage != LINEAGE:
        return f"lineage {state.lineage}"
    if state.serial < promises.serial:
        return f"serial {state.serial} < {promises.serial}"
    return _records(state, promises) or _audit(store, state)


def _records(state: State, promises: Promises) -> str:
    found = {address: record.attributes["value"] for address, record in state.records.items()}
    for address in {*found, *promises.records}:
        allowed: list[int | None] = [promises.records.get(address)]
        if address in promises.begun:
            allowed.append(promises.begun[address])
        if found.get(address) not in allowed:
            return f"{address} is {found.get(address)}, promised was {allowed}"
    lost = promises.intents - set(state.operations)
    lost -= {a for a in promises.begun if found.get(a) == promises.begun[a]}
    return f"the intent of {', '.join(sorted(lost))} is lost" if lost else ""


def _audit(store: Store, state: State) -> str:
    return audit.verify(store, state).problem or ""


def goes_on(store: Store, promises: Promises, name: str = "after") -> str:
    """Return why work cannot go on after a crash, empty when it can: run, write, end, read again, keep every promise."""
    if not promises.initialised and not store.exists():
        Ledger(store, clock=lambda: CLOCK).initialise(LINEAGE)
    ledger = Ledger(store, clock=lambda: CLOCK)
    with ledger.begin(name, HOLDER, "apply") as session:
        for operation in list(session.state.operations.values()):
            session.abort(operation.address, operation.step, "not wanted")
        session.put_record(Record(f"thing.{name}", "thing", {"value": 9}))
        before = session.state.records
        state = session.end("done")
    if {a: r.attributes for a, r in state.records.items()} != {a: r.attributes for a, r in before.items()}:
        return "the end of a run changed its records"
    again = open_store(store).state
    if again != state:
        return "what was written is not what is read"
    wanted = promises.copy()
    wanted.intents.clear()
    wanted.records[f"thing.{name}"] = 9
    return _records(again, wanted) or _audit(store, again)
