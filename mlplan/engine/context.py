"""What kinds are handed while a run goes on: the journal, the present state, what the files want now, providers, events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlplan.config.program import Program
from mlplan.engine.events import Event, Listener
from mlplan.engine.kind import Options, Ready
from mlplan.engine.memory import Memory, below, parents
from mlplan.engine.plan import World, desired_of
from mlplan.engine.types import Desired, Step
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.records import Record, State
from mlplan.ledger.session import Session
from mlplan.spi.capabilities import Provider


class RunContext:
    """The `Context` of kinds for one run. Thread-safe: the session serialises what is journaled.

    planned: addresses of the plan, so that children that come into being during the run are found under their parents.
    """

    def __init__(
        self, program: Program, world: World, session: Session, options: Options, run: str, listener: Listener,
        planned: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.root: Path = world.root
        self.run = run
        self.options = options
        self.services: Any = world.services
        self.cancelled = threading.Event()
        state = session.state
        self.lineage = state.lineage
        self._program = program
        self._world = world
        self._session = session
        self._listener = listener
        self._ready = Ready()
        self._instances = {instance.address: instance for instance in program.instances}
        self._memory = Memory(session.record, world.kinds, below([*state.records, *planned], world.kinds))

    @property
    def state(self) -> State:
        """The state as of now. It is copied when it changed: for one record ask `record`, for the lineage `lineage`."""
        return self._session.state

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def wait(self, seconds: float) -> bool:
        """Sleep; return True when the run was cancelled meanwhile."""
        return self.cancelled.wait(seconds)

    def record(self, address: str) -> Record | None:
        """Return what the state keeps now."""
        return self._session.record(address)

    def desired(self, address: str) -> Desired:
        """Return what the files want with all that is known now."""
        found = self.find_desired(address)
        if found is None:
            raise KeyError(address)
        return found

    def find_desired(self, address: str) -> Desired | None:
        """Return what the files want, or None."""
        instance = self._instances.get(address)
        if instance is None:
            return self._child(address)
        arguments, diagnostics = self._program.decode(instance, self._memory.values)
        if any(d.is_error for d in diagnostics):
            raise DiagnosticError(*diagnostics)
        schema = self._world.kinds[instance.kind].schema
        return desired_of(instance, arguments, self._session.record(address), schema)

    def _child(self, address: str) -> Desired | None:
        parent = next((a for a in parents(address) if a in self._instances), None)
        if parent is None:
            return None
        desired = self.desired(parent)
        children = self._world.kinds[desired.kind].children(desired)
        return next((child for child in children if child.address == address), None)

    def provider(self, name: str | None) -> Provider:
        """Return a configured provider."""
        return self._world.provider(name)

    def checked(self, name: str | None) -> Provider:
        """Return a configured provider that says it can work here. Raises: ProviderError."""
        return self._ready.checked(name, self._world.provider)

    def accepted(self, step: Step, handle: Mapping[str, Any]) -> None:
        """Journal what finds a running thing again."""
        self._session.accepted(step.address, handle)

    def keep(self, record: Record, evidence: Iterable[Evidence] = ()) -> None:
        """Journal a record in the middle of a step."""
        self._session.evidence(evidence)
        self._session.put_record(record)

    def tell(self, event: Event) -> None:
        """Pass an event on with its time."""
        self._listener(replace(event, at=event.at or self.now()))

    def put_blob(self, key: str, data: bytes) -> None:
        """Store a document."""
        self._world.put_blob(key, data)

    def get_blob(self, key: str) -> bytes | None:
        """Return a stored document."""
        return self._world.blob(key)
