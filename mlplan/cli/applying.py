"""How a plan is shown, confirmed and carried out in a terminal or for a program: questions, progress, signals, the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from mlplan.app import run as use_cases
from mlplan.cli import errors
from mlplan.cli.terminal import stderr_style, stdout_style
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    from mlplan.app.compose import Project
    from mlplan.engine.events import Listener
    from mlplan.engine.kind import Options
    from mlplan.engine.types import Plan

EVENTS_VERSION = "1.0"
"""Of the stream that `--json` writes; docs/reference/events.md says what is in it."""


@dataclass(frozen=True)
class Manner:
    """How a command goes about it. command: for messages. sure: nobody is asked, and it is done. asks: somebody may be asked.

    Units: `lock_timeout` seconds.
    """

    command: str
    sure: bool = False
    lock_timeout: float = 0.0
    json: bool = False
    compact: bool = False
    asks: bool = True


def show_plan(made: Plan, opened: Project, json: bool, compact: bool = False) -> None:
    """Write a plan to stdout, its diagnostics to stderr; as one JSON document when a program asked."""
    if json:
        from mlplan.report.json_text import dumps
        from mlplan.report.plan_json import plan_json

        sys.stdout.write(dumps(plan_json(made, opened.program.sources)) + "\n")
        return
    from mlplan.report.plan_text import plan_text

    if any(d.is_error for d in made.diagnostics):
        errors.show(made.diagnostics, opened.program.sources)
        return
    sys.stdout.write(plan_text(made, stdout_style(), compact=compact))
    sys.stdout.flush()
    errors.show(made.diagnostics, opened.program.sources)


def apply_plan(opened: Project, options: Options, saved: Plan | None, manner: Manner) -> int:
    """Plan or take the saved plan, ask, carry out, and say how it ended. Returns the exit code."""
    stream = _Stream(opened, manner)
    stream.begin()
    run = use_cases.Run()
    with _listener(manner.json) as listener, _interrupts(run):
        applied = use_cases.apply(
            opened, options, listener, stream.confirm, saved, manner.lock_timeout, manner.command, run
        )
    stream.end(applied)
    return applied.exit_code


class _Stream:
    """What a command says before and after the events of a run: in words, or as JSON, one document a line."""

    def __init__(self, opened: Project, manner: Manner) -> None:
        self._opened, self._manner = opened, manner
        self._shown = False

    def begin(self) -> None:
        """Say who speaks, to programs alone."""
        if self._manner.json:
            from mlplan import __version__

            _line({"type": "version", "format_version": EVENTS_VERSION, "mlplan_version": __version__})

    def confirm(self, made: Plan) -> bool:
        """Show the plan, and return whether to go on."""
        self._show(made)
        if self._manner.sure:
            return True
        if not sys.stdin.isatty() or self._manner.json or not self._manner.asks:
            detail = (
                "Nobody can be asked here. Review with mlplan plan, then run: "
                f"mlplan {self._manner.command} --auto-approve"
            )
            raise DiagnosticError(Diagnostic("not-confirmed", "This needs a confirmation", detail))
        sys.stderr.write('\nDo you want to do this? Only "yes" is taken as yes: ')
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if answer != "yes":
            sys.stderr.write("Not confirmed; nothing was done.\n")
        return answer == "yes"

    def _show(self, made: Plan) -> None:
        self._shown = True
        if not self._manner.json:
            show_plan(made, self._opened, False, self._manner.compact)
            return
        from mlplan.report.plan_json import plan_json

        _line({"type": "plan", "plan": plan_json(made, self._opened.program.sources)})

    def end(self, applied: use_cases.Applied) -> None:
        """Say how it ended."""
        if not self._shown:
            self._show(applied.plan)
        found = [d for outcome in applied.result.outcomes.values() for d in outcome.diagnostics]
        found += [*applied.result.problems, *applied.diagnostics]
        if self._manner.json:
            self._end_json(applied, found)
            return
        errors.show(tuple(found), self._opened.program.sources)
        from mlplan.report.run_text import run_text

        result = applied.result
        sys.stderr.write(
            run_text(applied.plan, result.outcomes, result.cancelled, stderr_style(), self._manner.command)
        )
        if applied.outputs and result.outcomes:
            from mlplan.report.plan_text import value_text

            sys.stdout.write("\nOutputs:\n\n")
            sys.stdout.writelines(f"{name} = {value_text(value)}\n" for name, value in applied.outputs.items())

    def _end_json(self, applied: use_cases.Applied, found: list[Diagnostic]) -> None:
        from mlplan.report.diagnostics import diagnostic_json

        for diagnostic in found:
            _line({"type": "diagnostic", "diagnostic": diagnostic_json(diagnostic, self._opened.program.sources)})
        outcomes = {
            step: {"result": str(outcome.result), "summary": outcome.summary}
            for step, outcome in applied.result.outcomes.items()
        }
        left = [step for step, outcome in outcomes.items() if outcome["result"] not in ("done", "unchanged")]
        _line(
            {
                "type": "summary", "exit_code": applied.exit_code, "cancelled": applied.result.cancelled,
                "outcomes": outcomes, "left": left, "outputs": applied.outputs,
            }
        )  # fmt: skip


def _line(document: Mapping[str, Any]) -> None:
    from mlplan.report.json_text import dumps

    sys.stdout.write(dumps(document, indent=False) + "\n")
    sys.stdout.flush()


@contextmanager
def _listener(json: bool) -> Iterator[Listener]:
    from mlplan.cli.progress import JsonLines, PlainLines

    if json:
        yield JsonLines(sys.stdout)
    elif sys.stderr.isatty() and sys.stdin.isatty():
        from mlplan.cli.progress import Live

        with Live(stderr_style()) as listener:
            yield listener
    else:
        yield PlainLines(sys.stderr, stderr_style())


@contextmanager
def _interrupts(run: use_cases.Run) -> Iterator[None]:
    """First Ctrl-C: finish running steps, start no more. Second: leave now; the next run recovers."""

    def second(number: int, frame: FrameType | None) -> None:
        import os

        sys.stderr.write("\nLeaving now. What was begun is in the journal; the next run takes it up.\n")
        sys.stderr.flush()
        os._exit(1)  # threads may be waiting for jobs; the journal is durable already

    def handle(number: int, frame: FrameType | None) -> None:
        if run.context is not None and run.context.cancelled.is_set():
            second(number, frame)
        if run.context is None:
            raise KeyboardInterrupt
        run.context.cancelled.set()
        sys.stderr.write(
            "\nInterrupted: running steps finish, no more are started, traffic stays where it is. Once more: leave now.\n"
        )

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
