"""Plan and apply: the two use cases everything else is about."""

from __future__ import annotations

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mlplan.app import saved as saved_plans
from mlplan.app.compose import Project
from mlplan.engine.context import RunContext
from mlplan.engine.events import Event, Listener
from mlplan.engine.execute import Executor, RunResult
from mlplan.engine.kind import Options
from mlplan.engine.memory import Memory
from mlplan.engine.moves import moved_addresses
from mlplan.engine.outputs import output_changes, without_left_out
from mlplan.engine.plain import plain
from mlplan.engine.plan import make_plan
from mlplan.engine.recovery import sweep
from mlplan.engine.types import Action, Outcome, Plan, Result, most_serious
from mlplan.lang.collector import collector_at_rest
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, has_errors
from mlplan.lang.values import Unknown
from mlplan.ledger.records import State
from mlplan.ledger.session import Session
from mlplan.spi.store import Holder


def read_state(project: Project) -> State:
    """Return the state. Raises: DiagnosticError (not-initialised), StoreError."""
    if not project.ledger.exists():
        detail = "There is no state for this project yet. Make one:\n    mlplan init"
        raise DiagnosticError(Diagnostic("not-initialised", "This project is not initialised", detail))
    return project.ledger.open_read()


def plan(project: Project, options: Options) -> Plan:
    """Return the plan from the present state, without a lock. What a run left unfinished is part of it."""
    with collector_at_rest():
        state = read_state(project)
        project.pins.follow(moved_addresses(project.program, state))
        made = make_plan(project.program, state, project.world(), options)
    began = (state.open_run,) if state.open_run is not None else ()
    return replace(made, unswept=(*state.unswept, *began))


def plan_exit_code(made: Plan, detailed: bool) -> int:
    """Return the exit code of a plan: 1 for errors, 3 when a contract says no already, 2 for changes if asked for."""
    codes: set[int] = set()
    if has_errors(made.diagnostics):
        return 1
    if any(change.blocked for change in made.changes):
        codes.add(3)
    if detailed and not made.is_empty:
        codes.add(2)
    return most_serious(codes)


@dataclass(frozen=True)
class Applied:
    """What an apply did. plan None: there was nothing to confirm, or it was not confirmed. diagnostics: what checks and
    postconditions say afterwards."""

    plan: Plan
    result: RunResult = field(default_factory=RunResult)
    confirmed: bool = True
    outputs: dict[str, object] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the apply."""
        if has_errors(self.plan.diagnostics) or has_errors(self.diagnostics) or not self.confirmed:
            return 1
        return self.result.exit_code


@dataclass
class Run:
    """One apply in progress: the context is there for signal handlers once the steps have begun."""

    context: RunContext | None = None


def apply(
    project: Project,
    options: Options,
    listener: Listener,
    confirm: Callable[[Plan], bool],
    saved: Plan | None = None,
    lock_timeout: float = 0.0,
    command: str = "apply",
    run: Run | None = None,
) -> Applied:
    """Plan under the lock (or check a saved plan), ask, carry out, keep the outputs.

    Raises: DiagnosticError, LockHeld, StoreError.
    """
    read_state(project)
    identity = uuid.uuid4().hex[:12]
    with project.ledger.begin(identity, holder(identity, command), command, lock_timeout, command) as session:
        project.pins.follow(moved_addresses(project.program, session.state))
        with collector_at_rest():
            made = saved or make_plan(project.program, session.state, project.world(), options)
        if saved is not None:
            saved_plans.check(project, saved, session.state)
        if has_errors(made.diagnostics):
            session.end("nothing done: the plan has errors")
            return Applied(made)
        made = replace(made, unswept=session.state.unswept)
        if made.is_empty and not made.pending:
            problems = _sweep(project, session, listener)
            session.end("nothing to do")
            return Applied(made, RunResult(problems=problems))
        if not confirm(made):
            session.end("not confirmed")
            return Applied(made, confirmed=False)
        if saved is not None:
            session.plan_used(saved.id)
        return _carry_out(project, made, options, session, listener, identity, run)


def _carry_out(
    project: Project, made: Plan, options: Options, session: Session, listener: Listener, identity: str, run: Run | None
) -> Applied:
    world = project.world()
    context = RunContext(
        project.program, world, session, options, identity, listener, [c.address for c in made.changes]
    )
    if run is not None:
        run.context = context
    project.pins.move({c.moved_from: c.address for c in made.changes if c.moved_from is not None})
    result = Executor(made, project.kinds, session, context).run(options.parallelism)
    if not result.cancelled:
        result = replace(result, problems=(*result.problems, *_sweep(project, session, listener)))
    state = session.state
    memory = Memory.of(state.records, project.kinds)
    now = project.program.evaluation(memory.values)
    made_by = {step.id: step.address for step in made.steps}
    ran = frozenset(step.address for step in made.steps)
    broken = () if made.destroy else (*project.program.postconditions(now, ran), *project.program.checks(now))
    try:
        changes = output_changes(project.program, state, options, now)
        # What failed is as it was: what the files say of it did not happen.
        failed = {made_by[s] for s, o in result.outcomes.items() if o.result in (Result.FAILED, Result.SKIPPED)}
        changes = without_left_out(changes, project.program.output_needs, made.left_out | failed, set(ran) - failed)
    except DiagnosticError:
        session.end(_outcome(result))
        raise
    values = {c.name: plain(c.after) for c in changes if c.after is not None and not isinstance(c.after, Unknown)}
    if changes or not (options.targets or options.excludes or options.refresh_only):
        session.outputs(values)
    if made.destroy and not session.state.records:
        listener(Event("note", "", "everything is removed", at=time.time()))
    session.end(_outcome(result))
    return Applied(made, result, outputs=values, diagnostics=broken)


def _sweep(project: Project, session: Session, listener: Listener) -> tuple[Diagnostic, ...]:
    """Remove from the world what interrupted runs left and no record names."""
    names = [r.provider for r in session.state.records.values()]
    names += [instance.provider for instance in project.program.instances]
    return sweep(session, names, project.providers.get, project.kinds, listener)


def _outcome(result: RunResult) -> str:
    found = {str(outcome.result) for outcome in result.outcomes.values()}
    return ", ".join(sorted(found)) or "nothing to do"


def holder(run: str, operation: str) -> Holder:
    """Return who holds the lock."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = str(os.getuid())
    return Holder(who, socket.gethostname(), os.getpid(), time.time(), operation, run)


def held(made: Plan) -> list[tuple[str, str]]:
    """Return the addresses that stay at an earlier version, with the reason."""
    return [(c.address, c.held) for c in made.changes if c.held]


def waits(outcomes: RunResult) -> list[tuple[str, Outcome]]:
    """Return the steps that could not be decided yet."""
    return [(step, o) for step, o in outcomes.outcomes.items() if o.result is Result.WAITING]


def counts(made: Plan) -> dict[str, int]:
    """Return how many addresses each action has, for the last line of a plan."""
    found = {str(action): 0 for action in Action}
    for change in made.changes:
        if change.steps or change.action is Action.MOVE:
            found[str(change.action)] += 1
    return found
