"""Carry out the steps of a plan on threads: intent first, then the effect, then the outcome; independent branches go on."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.config.program import Program
from mlplan.engine.events import Event, Listener
from mlplan.engine.kind import Kind, Options
from mlplan.engine.memory import Memory
from mlplan.engine.plan import World, from_provider
from mlplan.engine.types import EXIT_CODES, Desired, Outcome, Plan, Result, Step, most_serious
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.records import Operation, Record, State
from mlplan.ledger.session import Session
from mlplan.spi.capabilities import Provider, ProviderError
from mlplan.spi.store import StoreError

FORGET = "forget"
GOOD = (Result.DONE, Result.UNCHANGED)


@dataclass(frozen=True)
class RunResult:
    """How a run ended: outcome by step id, in the order of the plan."""

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def exit_code(self) -> int:
        """Return the exit code of the run without those of plan and lock."""
        codes = {EXIT_CODES[o.result] for o in self.outcomes.values() if o.result in EXIT_CODES}
        return most_serious({*codes, 1} if self.cancelled and not codes else codes)


class RunContext:
    """The `Context` of kinds for one run. Thread-safe: the session serialises what is journaled."""

    def __init__(
        self, program: Program, world: World, session: Session, options: Options, run: str, listener: Listener
    ) -> None:
        self.root: Path = world.root
        self.run = run
        self.options = options
        self.services: Any = world.services
        self.cancelled = threading.Event()
        self._program = program
        self._world = world
        self._session = session
        self._listener = listener
        self._instances = {instance.address: instance for instance in program.instances}

    @property
    def state(self) -> State:
        """The state as of now."""
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
        if instance is not None:
            values = Memory(self.state.records, self._world.kinds).values
            arguments, diagnostics = self._program.decode(instance, values)
            if any(d.is_error for d in diagnostics):
                raise DiagnosticError(*diagnostics)
            return Desired(
                address, instance.kind, instance.name, arguments, tuple(instance.dependencies), instance.provider,
                span=instance.span, prevent_destroy=instance.lifecycle.prevent_destroy,
                ignore_changes=tuple(instance.lifecycle.ignore_changes),
            )  # fmt: skip
        parents = (a for a in self._instances if address.startswith(a + "."))
        for parent in parents:
            desired = self.desired(parent)
            for child in self._world.kinds[desired.kind].children(desired):
                if child.address == address:
                    return child
        return None

    def provider(self, name: str | None) -> Provider:
        """Return a configured provider."""
        return self._world.provider(name)

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


class Executor:
    """Runs one plan. The caller owns the session: it begins before and ends after."""

    def __init__(self, plan: Plan, kinds: Mapping[str, Kind], session: Session, context: RunContext) -> None:
        self._plan = plan
        self._kinds = kinds
        self._session = session
        self._context = context
        self._outcomes: dict[str, Outcome] = {}
        self._resumed: dict[str, Operation] = {}
        self._fatal: StoreError | None = None

    def run(self, parallelism: int) -> RunResult:
        """Recover what an earlier run left, then carry out the steps.

        Raises: StoreError when the journal cannot be written; nothing new is started after that.
        """
        self._recover()
        moves = {c.moved_from: c.address for c in self._plan.changes if c.moved_from is not None}
        if moves:
            self._session.move(moves)
        waiting = {step.id: step for step in self._plan.steps}
        running: dict[Future[Outcome], Step] = {}
        with ThreadPoolExecutor(max_workers=parallelism) as pool:
            while waiting or running:
                for step in self._ready(waiting):
                    del waiting[step.id]
                    running[pool.submit(self._one, step)] = step
                if not running:
                    break
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    self._outcomes[running.pop(future).id] = future.result()
        for step in waiting.values():
            self._outcomes[step.id] = self._skip(step)
        if self._fatal is not None:
            raise self._fatal
        ordered = {step.id: self._outcomes[step.id] for step in self._plan.steps}
        return RunResult(ordered, self._context.cancelled.is_set())

    def _recover(self) -> None:
        steps = {(step.id, step.token): step for step in self._plan.steps}
        for operation in list(self._session.state.operations.values()):
            if (operation.step, operation.token) in steps:
                self._resumed[operation.step] = operation
                continue
            self._kinds[operation.kind].abandon(operation, self._context)
            self._session.abort(operation.address, operation.step, "no longer wanted")
            self._context.tell(Event("note", operation.address, f"cleaned up the unfinished step {operation.step}"))

    def _ready(self, waiting: dict[str, Step]) -> list[Step]:
        if self._context.cancelled.is_set() or self._fatal is not None:
            return []
        ready, skipped = [], []
        for step in waiting.values():
            outcomes = [self._outcomes.get(need) for need in step.needs]
            if any(o is not None and o.result not in GOOD for o in outcomes):
                skipped.append(step)
            elif all(o is not None for o in outcomes):
                ready.append(step)
        for step in skipped:
            self._outcomes[step.id] = self._skip(step)
            del waiting[step.id]
        return ready

    def _skip(self, step: Step) -> Outcome:
        for need in step.needs:
            outcome = self._outcomes.get(need)
            if outcome is not None and outcome.result not in GOOD:
                return Outcome(Result.SKIPPED, f"not started: {need} {outcome.result}")
        return Outcome(Result.SKIPPED, "not started: the run was stopped")

    def _one(self, step: Step) -> Outcome:
        started = time.time()
        context = self._context
        context.tell(Event("step_started", step.address, step.summary, step.id))
        try:
            outcome = self._journaled(step)
        except StoreError as error:
            self._fatal = self._fatal or error
            context.cancelled.set()
            outcome = Outcome(Result.FAILED, str(error))
        seconds = time.time() - started
        data = {"result": str(outcome.result), "summary": outcome.summary, "seconds": round(seconds, 3)}
        context.tell(Event("step_ended", step.address, outcome.summary, step.id, data=data))
        return outcome

    def _journaled(self, step: Step) -> Outcome:
        if step.action == FORGET:
            self._session.forget(step.address, step.summary)
            return Outcome(Result.DONE, step.summary)
        resumed = self._resumed.get(step.id)
        if resumed is None:
            self._session.intent(Operation(step.address, step.id, step.action, step.kind, step.token, step.inputs))
        try:
            outcome = self._kinds[step.kind].execute(step, resumed, self._context)
        except StoreError:
            raise
        except DiagnosticError as error:
            outcome = Outcome(Result.FAILED, error.diagnostics[0].summary, diagnostics=error.diagnostics)
        except ProviderError as error:
            # Whether the effect happened is not known: the intent stays open and the next run looks.
            return self._unknown(step, from_provider(error, step.address))
        except Exception as error:  # a bug in a kind must not take the journal or other branches down
            detail = "".join(traceback.format_exception_only(error)).strip()
            self._context.tell(Event("log", step.address, traceback.format_exc(), step.id))
            return self._unknown(step, Diagnostic("internal-error", "mlplan made a mistake here", detail))
        self._record(step, outcome)
        return outcome

    def _unknown(self, step: Step, diagnostic: Diagnostic) -> Outcome:
        self._session.unknown(step.address, step.id, diagnostic.summary)
        return Outcome(Result.FAILED, diagnostic.summary, diagnostics=(diagnostic.at(address=step.address),))

    def _record(self, step: Step, outcome: Outcome) -> None:
        if outcome.result is Result.FAILED:
            self._session.failed(step.address, step.id, outcome.summary, outcome.evidence)
            return
        self._session.done(
            step.address, step.id, outcome.record, outcome.evidence, str(outcome.result), outcome.summary,
            removed=outcome.removed,
        )  # fmt: skip
