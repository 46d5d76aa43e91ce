"""Runs test files: each in a copy of the project with a state of its own, cleaned up whatever happens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from mlplan.app import run as use_cases
from mlplan.app.compose import Project, Settings, open_project
from mlplan.app.testing.expecting import Failure, unmet
from mlplan.app.testing.mocks import Mocking, mocked_kinds
from mlplan.app.testing.read import Override, TestFile, TestRun
from mlplan.app.testing.sandbox import copy_of
from mlplan.config.scopes import Computed
from mlplan.engine.events import Event
from mlplan.engine.kind import Options
from mlplan.engine.memory import Memory, below, computed, with_children
from mlplan.engine.types import Action, Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.parse import parse_expression
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Expr
from mlplan.lang.values import Unknown, Value, bare, from_python, holds_secret, to_python
from mlplan.ledger.records import State
from mlplan.report.plan_text import plan_text
from mlplan.report.style import Style
from mlplan.report.test_report import FileResult, RunResult
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.store import StoreError

Told = Callable[[str, RunResult, Mapping[str, SourceFile]], None]


@dataclass
class _Session:
    """What the runs of one file share."""

    file: TestFile
    settings: Settings
    folder: Path
    outputs: dict[str, Value] = field(default_factory=dict)
    sources: dict[str, SourceFile] = field(default_factory=dict)
    last: Project | None = None


@dataclass
class _Attempt:
    """What one run came to before its assertions. values: computed attributes by address; shown: for --verbose."""

    project: Project | None = None
    values: Computed = lambda _: None
    failures: list[Failure] = field(default_factory=list)
    shown: str = ""


def run_file(file: TestFile, settings: Settings, told: Told) -> FileResult:
    """Carry out the runs of a file one after the other, and remove what they made. told: hears of every finished run."""
    results: list[RunResult] = []
    problems: list[Diagnostic] = []
    with copy_of(settings.root) as folder:
        session = _Session(file, replace(settings, root=folder, workspace="default"), folder)
        session.sources[file.path] = file.source
        try:
            for run in file.runs:
                broken = any(result.status == "error" for result in results)
                result = RunResult(run.name, "skip") if broken else _run(run, session)
                results.append(result)
                told(file.path, result, session.sources)
        finally:
            problems += _clean_up(session)
        return FileResult(file.path, tuple(results), tuple(problems), session.sources)


def _run(run: TestRun, session: _Session) -> RunResult:
    started = time.monotonic()
    try:
        attempt = _attempt(run, session)
        assertions, crash = _assertions(run, session, attempt)
    except DiagnosticError as error:
        return RunResult(run.name, "error", error.diagnostics, time.monotonic() - started)
    except (StoreError, ProviderError) as error:
        problem = Diagnostic(
            "test-failed", "A run could not be carried out", f"{error.summary}. {error.detail}", span=run.span
        )
        return RunResult(run.name, "error", (problem,), time.monotonic() - started)
    missing, unexpected = unmet(run, attempt.failures, session.sources)
    errors = [*crash, *(f.diagnostic for f in unexpected)]
    status = "error" if errors else "fail" if assertions or missing else "pass"
    return RunResult(run.name, status, (*errors, *assertions, *missing), time.monotonic() - started, attempt.shown)


def _attempt(run: TestRun, session: _Session) -> _Attempt:
    """Plan or apply. Raises: DiagnosticError for mistakes in the test file itself."""
    attempt = _Attempt()
    settings = _with_variables(run, session)
    try:
        project = open_project(settings, isolated=True)
    except DiagnosticError as error:
        attempt.failures = [Failure(d) for d in error.diagnostics if d.is_error]
        _remember_sources(session, error.diagnostics)
        return attempt
    session.sources |= project.program.sources
    project = replace(project, kinds=mocked_kinds(project.kinds, _mocking(run, session)))
    session.last = project
    if not project.ledger.exists():
        project.ledger.initialise()
    try:
        _carry_out(run, project, attempt)
    except DiagnosticError as error:
        attempt.failures += [Failure(d) for d in error.diagnostics if d.is_error]
        return attempt
    attempt.project = project
    attempt.failures = list(dict.fromkeys(attempt.failures))
    return attempt


def _carry_out(run: TestRun, project: Project, attempt: _Attempt) -> None:
    options = Options(targets=run.targets, replace=run.replace, refresh=run.refresh, refresh_only=run.refresh_only)
    if run.command == "plan":
        made = use_cases.plan(project, options)
        attempt.shown = plan_text(made, Style())
        attempt.values = _planned(made, project)
    else:
        applied = use_cases.apply(project, options, _silent, lambda _: True, command="test")
        made = applied.plan
        outcomes = applied.result.outcomes.values()
        attempt.failures += [Failure(d) for o in outcomes for d in o.diagnostics if d.is_error]
        attempt.failures += [Failure.of_evidence(e, run.span) for o in outcomes for e in o.evidence if e.blocks]
        attempt.shown = plan_text(made, Style())
        attempt.values = Memory.of(project.ledger.open_read().records, project.kinds).values
        attempt.failures += [Failure(d) for d in project.program.postconditions(attempt.values) if d.is_error]
    attempt.failures += [Failure(d) for d in made.diagnostics if d.is_error]
    attempt.failures += [Failure.of_evidence(e, run.span) for c in made.changes for e in c.blocked]
    attempt.failures += [Failure(d) for d in project.program.checks(attempt.values)]


def _assertions(run: TestRun, session: _Session, attempt: _Attempt) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Return the assertions that do not hold, and those that cannot be evaluated; remembers the outputs of the run."""
    if attempt.project is None:
        return [], []
    program = attempt.project.program
    outputs, problems = program.outputs(attempt.values)
    # A failed precondition of an output counts like every other failure, so that it can be expected.
    attempt.failures += [f for f in (Failure(d) for d in problems if d.is_error) if f not in attempt.failures]
    session.outputs[run.name] = {name: from_python(o.value) for name, o in outputs.items()}
    roots: dict[str, Value] = {"output": session.outputs[run.name], "run": dict(session.outputs)}
    scope = program.scope.inside(None, attempt.values).child(roots)
    failed: list[Diagnostic] = []
    crashed: list[Diagnostic] = []
    for block in run.asserts:
        condition, message = (block.body.attributes[n].expr for n in ("condition", "error_message"))
        try:
            value = bare(evaluate(condition, scope))[0]
            if isinstance(value, Unknown):
                detail = (
                    f"The condition is {value.origin or 'known only after apply'}, so this run with command = {run.command} cannot "
                    "tell. Use command = apply, or an override_resource with override_during = plan."
                )
                crashed.append(
                    Diagnostic("unknown-condition", "A condition is not known yet", detail, span=condition.span)
                )
            elif value is not True:
                words = evaluate(message, scope)
                text = "The message holds a sensitive value." if holds_secret(words) else str(to_python(words))
                failed.append(Diagnostic("assertion-failed", "Test assertion failed", text, span=condition.span))
        except DiagnosticError as error:
            crashed += error.diagnostics
    return failed, crashed


def _with_variables(run: TestRun, session: _Session) -> Settings:
    """Return settings with the variables of file and run over those of the command line."""
    given = {**session.file.variables, **run.variables}
    settings = session.settings
    roots: dict[str, Value] = {
        "var": {name: _text_value(text) for name, text in settings.variables.items()},
        "run": dict(session.outputs),
    }
    values: dict[str, Any] = {}
    scope = Scope(roots, root=session.folder)
    for name in [*session.file.variables, *run.variables]:
        values[name] = _plain(given[name], scope)
        roots["var"] = {**roots["var"], name: from_python(values[name])}  # type: ignore[dict-item]  # an object of values
    path = session.folder.parent / f"{uuid.uuid4().hex}.json"
    path.write_bytes(orjson.dumps(values))
    kept = {name: text for name, text in settings.variables.items() if name not in values}
    return replace(settings, variables=kept, variable_files=(*settings.variable_files, path))


def _text_value(text: str) -> Value:
    expr, problems = parse_expression(SourceFile("--var", text))
    if expr is None or problems:
        return text
    try:
        return evaluate(expr, Scope({}))
    except DiagnosticError:
        return text


def _plain(expr: Expr, scope: Scope) -> Any:
    value = bare(evaluate(expr, scope))[0]
    return to_python(value)


def _mocking(run: TestRun, session: _Session) -> Mocking:
    scope = Scope({"run": dict(session.outputs)}, root=session.folder)
    overrides: Iterable[Override] = (*session.file.overrides, *run.overrides)
    given = {o.target: dict(_plain(o.values, scope)) for o in overrides}
    defaults = {kind: dict(_plain(expr, scope)) for kind, expr in session.file.defaults.items()}
    return Mocking(session.file.mocked, defaults, given, frozenset(o.target for o in overrides if o.during_plan))


def _planned(made: Plan, project: Project) -> Computed:
    """Return computed attributes by address as the plan foresees them."""
    changes = {c.address: c for c in made.changes if c.action is not Action.REMOVE}
    children = below(changes, project.kinds)

    def values(address: str) -> dict[str, Any] | None:
        change = changes.get(address)
        if change is None:
            return None
        own = computed(project.kinds, change.kind, address, change.planned)
        inner = [changes[child] for child in children.get(address, ())]
        return with_children(
            address, own, [(c.address, computed(project.kinds, c.kind, c.address, c.planned)) for c in inner]
        )

    return values


def _clean_up(session: _Session) -> list[Diagnostic]:
    """Remove everything that the runs made; return what could not be removed."""
    project = session.last
    if project is None or not project.ledger.exists():
        return []
    try:
        state: State = project.ledger.open_read()
        if not state.records and not state.operations:
            return []
        use_cases.apply(project, Options(destroy=True), _silent, lambda _: True, command="test")
        left = list(project.ledger.open_read().records)
        why = "they are still there after destroy"
    except (DiagnosticError, StoreError, ProviderError) as error:
        left, why = list(state.records), str(error)
    if not left:
        return []
    detail = f"Not removed: {', '.join(left[:12])}: {why}. What of them runs outside of the test's folder has to be removed by hand."
    return [Diagnostic("test-left-things", "A test left things behind", detail)]


def _remember_sources(session: _Session, diagnostics: Iterable[Diagnostic]) -> None:
    for path in {d.span.path for d in diagnostics if d.span is not None} - set(session.sources):
        place = session.folder / path
        if place.is_file():
            session.sources[path] = SourceFile(path, place.read_text(encoding="utf-8-sig", errors="replace"))


def _silent(event: Event) -> None:
    """Hear nothing: a test tells how its runs ended, not what they did."""
