"""A workbench for the engine: toy nouns, toy world, a store in memory; plan and apply without ML, processes or disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplan.config.load import load
from mlplan.config.program import Program
from mlplan.engine.context import RunContext
from mlplan.engine.events import Event
from mlplan.engine.execute import Executor, RunResult
from mlplan.engine.kind import Kind, Options
from mlplan.engine.memory import Memory
from mlplan.engine.outputs import output_changes
from mlplan.engine.plain import plain
from mlplan.engine.plan import World, make_plan
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import DiagnosticError, has_errors
from mlplan.ledger.records import State
from mlplan.ledger.session import Ledger, Session
from mlplan.spi.store import Holder
from tests.world.memory_store import MemoryStore
from tests.world.toys import ToyWorld, toy_kinds

HOLDER = Holder("ada", "box", 1, 1.0, "apply", "")
NOW = 1_790_000_000.0


@dataclass
class Bench:
    """Files in `root`, everything else in memory."""

    root: Path
    toys: ToyWorld = field(default_factory=ToyWorld)
    store: MemoryStore = field(default_factory=MemoryStore)
    events: list[Event] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.kinds: Mapping[str, Kind] = toy_kinds(self.toys)
        self.ledger = Ledger(self.store, clock=lambda: NOW)
        self.ledger.initialise("lineage-1")

    @property
    def state(self) -> State:
        return self.ledger.open_read()

    def write(self, text: str) -> None:
        """Write the files; the whole of them."""
        (self.root / "main.mlplan.hcl").write_text(text, encoding="utf-8")

    def program(self) -> Program:
        """Load the files."""
        schemas = {name: kind.schema for name, kind in self.kinds.items() if name != "slot"}
        program, diagnostics = load(
            self.root, schemas=schemas, variables=self.variables, variable_files=(), environment={}
        )
        if program is None or has_errors(diagnostics):
            raise DiagnosticError(*diagnostics)
        return program

    def world(self) -> World:
        """Return what surrounds a plan."""
        return World(self.root, self.kinds, _no_provider, None, self.store.get_blob, self.store.put_blob, NOW)

    def plan(self, **options: Any) -> Plan:
        """Plan from the files as they are now."""
        return make_plan(self.program(), self.state, self.world(), Options(**options))

    def apply(
        self, plan: Plan | None = None, listener: Callable[[Event], None] | None = None,
        before: Callable[[RunContext], None] | None = None, **options: Any,
    ) -> RunResult:  # fmt: skip
        """Plan, if no plan is given, and carry it out. before: gets the context before the first step."""
        self.runs += 1
        given = Options(**options)
        program = self.program()
        with self.ledger.begin(f"run{self.runs}", HOLDER, "apply") as session:
            made = plan or make_plan(program, session.state, self.world(), given)
            if has_errors(made.diagnostics):
                raise DiagnosticError(*made.diagnostics)
            result = self.execute(program, made, session, given, listener or self.events.append, before)
            changes = output_changes(program, session.state, given, Memory.of(session.state.records, self.kinds).values)
            session.outputs({c.name: plain(c.after) for c in changes if c.after is not None})
            session.end("done")
        return result

    def execute(
        self, program: Program, made: Plan, session: Session, options: Options, listener: Callable[[Event], None],
        before: Callable[[RunContext], None] | None,
    ) -> RunResult:  # fmt: skip
        """Carry a plan out in a session."""
        addresses = [change.address for change in made.changes]
        context = RunContext(program, self.world(), session, options, f"run{self.runs}", listener, addresses)
        if before is not None:
            before(context)
        return Executor(made, self.kinds, session, context).run(options.parallelism)


def _no_provider(name: str | None) -> Any:
    raise AssertionError(f"toys need no provider, and {name!r} was asked for")
