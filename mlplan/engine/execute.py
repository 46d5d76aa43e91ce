"""Carry out the steps of a plan on threads: intent first, then the effect, then the outcome; independent branches go on."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from mlplan.engine.context import RunContext
from mlplan.engine.events import Event
from mlplan.engine.kind import Kind
from mlplan.engine.plan import from_provider
from mlplan.engine.recovery import recover
from mlplan.engine.selection import REFRESH
from mlplan.engine.types import EXIT_CODES, Outcome, Plan, Result, Step, most_serious
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import Evidence
from mlplan.ledger.records import Operation
from mlplan.ledger.session import Session
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.store import StoreError

FORGET = "forget"
GOOD = (Result.DONE, Result.UNCHANGED)
_WAKE = 0.2
"""Seconds. The main thread handles signals between its waits: without an end to them a Ctrl-C that the system handed to
another thread would be noticed when the step is over.
"""


@dataclass(frozen=True)
class RunResult:
    """How a run ended: outcome by step id, in the order of the plan. problems: what belongs to no step of it."""

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    cancelled: bool = False
    problems: tuple[Diagnostic, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the run without those of plan and lock."""
        codes = {EXIT_CODES[o.result] for o in self.outcomes.values() if o.result in EXIT_CODES}
        if any(problem.is_error for problem in self.problems):
            codes.add(1)
        return most_serious({*codes, 1} if self.cancelled and not codes else codes)


class Executor:
    """Runs one plan. The caller owns the session: it begins before and ends after.

    Scheduling costs the same for every step, however many there are: a step counts the needs that are not done yet, and who
    finishes tells those that wait for it. No more steps are handed to threads than may run, so that none begins after Ctrl-C.
    """

    def __init__(self, plan: Plan, kinds: Mapping[str, Kind], session: Session, context: RunContext) -> None:
        self._plan = plan
        self._kinds = kinds
        self._session = session
        self._context = context
        self._outcomes: dict[str, Outcome] = {}
        self._resumed: dict[str, Operation] = {}
        self._problems: tuple[Diagnostic, ...] = ()
        self._fatal: StoreError | None = None
        self._steps = {step.id: step for step in plan.steps}
        self._missing = {step.id: sum(need in self._steps for need in step.needs) for step in plan.steps}
        self._dependants: dict[str, list[str]] = {}
        for step in plan.steps:
            for need in step.needs:
                self._dependants.setdefault(need, []).append(step.id)

    def run(self, parallelism: int) -> RunResult:
        """Recover what an earlier run left, then carry out the steps.

        Raises: StoreError when the journal cannot be written; nothing new is started after that.
        """
        self._recover()
        moves = {c.moved_from: c.address for c in self._plan.changes if c.moved_from is not None}
        if moves:
            self._session.move(moves)
        ready = deque(s.id for s in self._plan.steps if not self._missing[s.id] and s.id not in self._outcomes)
        finished: SimpleQueue[tuple[str, Outcome]] = SimpleQueue()
        running = 0
        with ThreadPoolExecutor(max_workers=parallelism) as pool:
            while True:
                while ready and running < parallelism and not self._stopped:
                    pool.submit(self._one, self._steps[ready.popleft()], finished)
                    running += 1
                if not running:
                    break
                try:
                    step, outcome = finished.get(timeout=_WAKE)
                except Empty:
                    continue
                running -= 1
                ready.extend(self._settle(step, outcome))
        for step in self._steps:
            if step not in self._outcomes:
                self._outcomes[step] = Outcome(Result.SKIPPED, "not started: the run was stopped")
        if self._fatal is not None:
            raise self._fatal
        ordered = {step.id: self._outcomes[step.id] for step in self._plan.steps}
        return RunResult(ordered, self._context.cancelled.is_set(), self._problems)

    @property
    def _stopped(self) -> bool:
        return self._context.cancelled.is_set() or self._fatal is not None

    def _settle(self, step: str, outcome: Outcome) -> list[str]:
        """Take in how a step ended; return the steps that can begin now. Those that never can are skipped, with what stops them."""
        self._outcomes[step] = outcome
        ready = []
        if outcome.result in GOOD:
            for dependant in self._dependants.get(step, ()):
                self._missing[dependant] -= 1
                if not self._missing[dependant] and dependant not in self._outcomes:
                    ready.append(dependant)
            return ready
        skipped = Outcome(Result.SKIPPED, f"not started: {step} {outcome.result}")
        queue = list(self._dependants.get(step, ()))
        for dependant in queue:  # grows while it is walked
            if dependant not in self._outcomes:
                self._outcomes[dependant] = skipped
                queue += self._dependants.get(dependant, ())
        return ready

    def _recover(self) -> None:
        recovered = recover(self._plan, self._kinds, self._session, self._context)
        self._resumed = dict(recovered.resumed)
        for step in self._plan.steps:
            problem = recovered.blocked.get(step.address)
            if problem is not None:
                outcome = Outcome(Result.FAILED, problem.summary, diagnostics=(problem,))
                self._settle(step.id, outcome)
        self._problems = tuple(p for a, p in recovered.blocked.items() if all(s.address != a for s in self._plan.steps))

    def _one(self, step: Step, finished: SimpleQueue[tuple[str, Outcome]]) -> None:
        outcome = Outcome(Result.FAILED, "the run was left in the middle of this step")
        try:
            outcome = self._told(step)
        finally:
            finished.put((step.id, outcome))  # whatever happened: the scheduler waits for exactly one answer a step

    def _told(self, step: Step) -> Outcome:
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
        if step.action == REFRESH:
            evidence = tuple(Evidence.from_json(document) for document in step.inputs["evidence"])
            self._session.evidence(evidence)
            return Outcome(Result.DONE, step.summary, evidence=evidence)
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
