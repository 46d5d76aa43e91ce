"""The one protocol through which the engine knows kinds, and what it hands them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mlplan.engine.events import Event
from mlplan.engine.ignoring import SETTINGS
from mlplan.engine.plain import plain
from mlplan.engine.types import Change, Desired, Observation, Outcome, Step
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.names import physical_name, token
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.renaming import HOME, ORIGIN
from mlplan.spi.capabilities import Provider
from mlplan.spi.schema import BlockSchema


@dataclass(frozen=True)
class Options:
    """How a plan is made and carried out.

    wait: stay until rollouts end, instead of one look and exit. refresh_only: keep what the world says, change nothing.
    imports: address -> id of what is to be taken over, and nothing else done. changed: addresses whose files changed, when
    only these and what depends on them are wanted; None: no such wish.
    """

    destroy: bool = False
    refresh: bool = True
    refresh_only: bool = False
    unattended: bool = False
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    imports: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] | None = None
    only_kinds: tuple[str, ...] = ()
    wait: bool = True
    parallelism: int = 10


class Ready:
    """Remembers which providers said that they can work, so that a thousand instances ask each of them once."""

    def __init__(self) -> None:
        self._names: set[str | None] = set()

    def checked(self, name: str | None, provider: Callable[[str | None], Provider]) -> Provider:
        """Return a provider after its check. Raises: ProviderError, each time anew until it is well."""
        found = provider(name)
        if name not in self._names:
            found.check()
            self._names.add(name)
        return found


@dataclass(frozen=True)
class View:
    """What a kind may read while it observes and diffs. Observing and planning change nothing.

    desired, observations and changes grow as planning goes on; a kind finds there what it depends on, already done.
    services: what the kinds share among themselves; the engine does not look inside. blob: reads a stored document.
    """

    root: Path
    state: State
    options: Options
    now: float
    provider: Callable[[str | None], Provider]
    services: Any
    blob: Callable[[str], bytes | None]
    desired: Mapping[str, Desired] = field(default_factory=dict)
    observations: Mapping[str, Observation] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    ready: Ready = field(default_factory=lambda: Ready())
    forced: dict[str, str] = field(default_factory=dict)
    """What is made anew, by address: what triggers it."""

    def checked(self, name: str | None) -> Provider:
        """Return a provider that says it can work here. Raises: ProviderError."""
        return self.ready.checked(name, self.provider)

    def replaces(self, address: str) -> bool:
        """Tell whether an address is to be made anew although nothing of it changed."""
        return address in self.forced or address in self.options.replace

    def record(self, address: str) -> Record | None:
        """Return what the state keeps of an address."""
        return self.state.records.get(address)

    def operation(self, address: str) -> Operation | None:
        """Return the unfinished operation of an address."""
        return self.state.operations.get(address)

    def step(self, desired: Desired | Record, action: str, summary: str, inputs: Mapping[str, Any]) -> Step:
        """Return a step whose token depends on lineage, address, action and inputs: the same work has the same token."""
        from mlplan.ledger.evidence import digest_of

        work = token(self.state.lineage, f"{desired.address}#{action}#{digest_of(inputs)}", 1)
        return Step(f"{desired.address}#{action}", desired.address, desired.kind, action, summary, work, inputs)


class Context(Protocol):
    """What a kind may do while it executes a step. Every effect goes through here, so that the journal knows first."""

    root: Path
    run: str
    lineage: str
    options: Options
    services: Any
    cancelled: threading.Event

    @property
    def state(self) -> State:
        """The state as of now, other steps of this run included."""
        ...

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep; return True when the run was cancelled meanwhile."""
        ...

    def record(self, address: str) -> Record | None:
        """Return what the state keeps of an address now."""
        ...

    def desired(self, address: str) -> Desired:
        """Return what the files want, with everything known now that earlier steps have found out."""
        ...

    def find_desired(self, address: str) -> Desired | None:
        """Return what the files want, or None when they do not mention it."""
        ...

    def provider(self, name: str | None) -> Provider:
        """Return a configured provider."""
        ...

    def checked(self, name: str | None) -> Provider:
        """Return a configured provider that says it can work here. Raises: ProviderError."""
        ...

    def accepted(self, step: Step, handle: Mapping[str, Any]) -> None:
        """Journal durably what finds a running thing again, before waiting for it."""
        ...

    def keep(self, record: Record, evidence: Iterable[Evidence] = ()) -> None:
        """Journal durably a new record in the middle of a step: a promise made before it is acted upon."""
        ...

    def tell(self, event: Event) -> None:
        """Tell whoever watches the run."""
        ...

    def put_blob(self, key: str, data: bytes) -> None:
        """Store a document under a content key."""
        ...

    def get_blob(self, key: str) -> bytes | None:
        """Return a stored document."""
        ...


class Kind(Protocol):
    """A noun. Reads through `View`, acts through `Context`; keeps nothing itself."""

    name: str
    schema: BlockSchema

    def check(self, desired: Desired) -> Sequence[Diagnostic]:
        """Return what is wrong with the arguments beyond their types; looks at nothing else."""
        ...

    def children(self, desired: Desired) -> Sequence[Desired]:
        """Return the computed instances that this one brings with it; their addresses begin with its own."""
        ...

    def requires(self, desired: Desired, view: View) -> Sequence[str]:
        """Return addresses to be done before, beyond those it refers to."""
        ...

    def observe(self, desired: Desired | None, record: Record | None, view: View) -> Observation:
        """Return what the world says; read-only."""
        ...

    def diff(self, desired: Desired | None, record: Record | None, seen: Observation, view: View) -> Change:
        """Return what has to change, reasons first, with the steps in order. desired None: remove what the record names."""
        ...

    def execute(self, step: Step, resumed: Operation | None, context: Context) -> Outcome:
        """Do a step. resumed: the journal's record of the same step that an earlier run began and did not finish."""
        ...

    def abandon(self, operation: Operation, context: Context) -> None:
        """Clean up after a step that began and is no longer wanted."""
        ...


@runtime_checkable
class Claims(Protocol):
    """A kind that knows by name what in the world belongs to a record; what no record claims may be an interrupted run's leftover."""

    def claims(self, record: Record, state: State) -> Iterable[str]:
        """Return the names of units and endpoints that belong to a record, those of an unfinished rollout included."""
        ...


@runtime_checkable
class Adopts(Protocol):
    """A kind that can take over what exists already and was not made by this project."""

    def adopt(self, desired: Desired, identity: str, view: View) -> Change:
        """Return the change that gives the thing called `identity` to an address without a record; read-only.

        Its `dependencies` are what has to be there before. Raises: DiagnosticError (cannot-import) when there is no such thing, or
        it is not what the files describe.
        """
        ...


def new_record(
    desired: Desired, record: Record | None, lineage: str, attributes: Mapping[str, Any], **changes: Any
) -> Record:
    """Return the record of `desired` with `attributes`, keeping identity and names of an earlier record, and the arguments."""
    from dataclasses import replace

    if desired.parent is None:
        attributes = {**attributes, SETTINGS: plain(desired.arguments)}
    if record is not None:
        attributes = {**attributes, **{n: record.attributes[n] for n in (ORIGIN, HOME) if n in record.attributes}}
        return replace(record, attributes=attributes, dependencies=desired.dependencies, **changes)
    name = token(lineage, desired.address, 1)
    return Record(
        address=desired.address,
        kind=desired.kind,
        attributes=attributes,
        provider=desired.provider,
        physical_name=physical_name(desired.address, name),
        token=name,
        dependencies=desired.dependencies,
        **changes,
    )
