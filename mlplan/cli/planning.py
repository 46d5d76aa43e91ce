"""The commands plan, apply, destroy and check."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from mlplan.app import run as use_cases
from mlplan.app.compose import Project
from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.options import (
    AutoApprove,
    Chdir,
    Exclude,
    Json,
    LockTimeout,
    NoColor,
    Parallelism,
    Replace,
    Target,
    Var,
    VarFile,
    Workspace,
    project,
    seconds,
    settings,
)
from mlplan.cli.terminal import stderr_style, stdout_style
from mlplan.engine.events import Listener
from mlplan.engine.kind import Options
from mlplan.engine.types import Plan
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

Unattended = Annotated[
    bool, typer.Option("--unattended", help="Nobody watches: no removals, no unreviewed data, repairs within budgets.")
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="One look at every rollout instead of waiting; exit 5 meanwhile.")
]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, plan,
        examples="""
        mlplan plan
        mlplan plan --out plan.mlplan
        mlplan plan --target 'model.fraud' --var region=eu
        mlplan plan --detailed-exitcode --json > plan.json
        """,
    )  # fmt: skip
    add(
        application, apply,
        examples="""
        mlplan apply
        mlplan apply plan.mlplan
        mlplan apply --unattended --no-wait
        """,
    )  # fmt: skip
    add(
        application, destroy,
        examples="""
        mlplan destroy
        mlplan destroy --target 'monitor.fraud_live' --auto-approve
        """,
    )  # fmt: skip
    add(
        application, check,
        examples="""
        mlplan check
        mlplan check --target model.fraud --json
        """,
    )  # fmt: skip


def plan(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan, signed, for apply.")] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to remove everything.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh/--no-refresh", help="Look at the world.")] = True,
    target: Target = [], exclude: Exclude = [], replace: Replace = [],  # noqa: B006
    unattended: Unattended = False, json: Json = False, no_color: NoColor = False,
    compact: Annotated[bool, typer.Option("--compact", help="One line a change.")] = False,
    parallelism: Parallelism = 10,
) -> int:  # fmt: skip
    """Show what apply would do, with reasons and evidence. Changes nothing and runs no code of yours."""
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(
        destroy=destroy, refresh=refresh, unattended=unattended, targets=tuple(target), excludes=tuple(exclude),
        replace=tuple(replace), parallelism=parallelism,
    )  # fmt: skip
    made = use_cases.plan(opened, options)
    _show_plan(made, opened, json, compact)
    code = use_cases.plan_exit_code(made, detailed_exitcode)
    if out is not None and code != 1:
        use_cases.save(opened, made, out)
        sys.stderr.write(f"Saved. Apply exactly this with: mlplan apply {out}\n")
    return code


def _show_plan(made: Plan, opened: Project, json: bool, compact: bool = False) -> None:
    if json:
        from mlplan.report.json_text import dumps, plan_json

        sys.stdout.write(dumps(plan_json(made, opened.program.sources)) + "\n")
        return
    from mlplan.report.plan_text import plan_text

    if any(d.is_error for d in made.diagnostics):
        errors.show(made.diagnostics, opened.program.sources)
        return
    sys.stdout.write(plan_text(made, stdout_style(), compact=compact))
    sys.stdout.flush()
    errors.show(made.diagnostics, opened.program.sources)


def apply(
    plan_file: Annotated[Path | None, typer.Argument(help="A saved plan; left out, apply plans and asks.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    auto_approve: AutoApprove = False, unattended: Unattended = False, no_wait: NoWait = False,
    target: Target = [], exclude: Exclude = [], replace: Replace = [],  # noqa: B006
    lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10, json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Do what the plan says: check data, train, judge, deploy, shift traffic; stop or roll back when the evidence says so."""
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(
        unattended=unattended, targets=tuple(target), excludes=tuple(exclude), replace=tuple(replace),
        wait=not no_wait, parallelism=parallelism,
    )  # fmt: skip
    saved = use_cases.load_saved(opened, plan_file) if plan_file is not None else None
    if saved is not None:
        options = Options(
            destroy=saved.destroy, unattended=saved.unattended, targets=saved.targets, wait=not no_wait,
            parallelism=parallelism,
        )  # fmt: skip
    sure = auto_approve or unattended or saved is not None
    return _apply(opened, options, saved, sure, seconds(lock_timeout), json, "apply")


def destroy(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    auto_approve: AutoApprove = False, target: Target = [],  # noqa: B006
    lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10, json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Stop serving and remove everything that apply made. Data and artifacts stay where they are."""
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(destroy=True, targets=tuple(target), parallelism=parallelism)
    return _apply(opened, options, None, auto_approve, seconds(lock_timeout), json, "destroy")


def check(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    target: Target = [], lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10,  # noqa: B006
    json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Run tests, contracts, training and gates without touching anything that serves; apply takes over what passed."""
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(targets=tuple(target), only_kinds=("data_contract", "model"), parallelism=parallelism)
    return _apply(opened, options, None, True, seconds(lock_timeout), json, "check")


def _apply(
    opened: Project, options: Options, saved: Plan | None, sure: bool, lock_timeout: float, json: bool, command: str
) -> int:
    asker = _Asker(opened, sure, json, command)
    run = use_cases.Run()
    with _listener(json) as listener, _interrupts(run):
        applied = use_cases.apply(opened, options, listener, asker.confirm, saved, lock_timeout, command, run)
    if any(d.is_error for d in applied.plan.diagnostics):
        errors.show(applied.plan.diagnostics, opened.program.sources)
    elif not asker.asked:
        _show_plan(applied.plan, opened, json)
    for outcome in applied.result.outcomes.values():
        errors.show(outcome.diagnostics, opened.program.sources)
    _closing(applied, json)
    return applied.exit_code


class _Asker:
    """Shows the plan and asks for a "yes"; an apply that may not ask shows it and goes on."""

    def __init__(self, opened: Project, sure: bool, json: bool, command: str) -> None:
        self._opened, self._sure, self._json, self._command = opened, sure, json, command
        self.asked = False

    def confirm(self, made: Plan) -> bool:
        """Return whether to go on."""
        self.asked = True
        _show_plan(made, self._opened, self._json)
        if self._sure:
            return True
        if not sys.stdin.isatty():
            detail = (
                f"Nobody can be asked here. Review with mlplan plan, then run: mlplan {self._command} --auto-approve"
            )
            raise DiagnosticError(Diagnostic("not-confirmed", "This needs a confirmation", detail))
        sys.stderr.write('\nDo you want to do this? Only "yes" is taken as yes: ')
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if answer != "yes":
            sys.stderr.write("Not confirmed; nothing was done.\n")
        return answer == "yes"


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


def _closing(applied: use_cases.Applied, json: bool) -> None:
    if json:
        from mlplan.report.json_text import dumps

        outcomes = {
            step: {"result": str(o.result), "summary": o.summary} for step, o in applied.result.outcomes.items()
        }
        document = {
            "type": "summary", "exit_code": applied.exit_code, "outcomes": outcomes, "outputs": applied.outputs
        }  # fmt: skip
        sys.stdout.write(dumps(document, indent=False) + "\n")
        return
    results = [str(o.result) for o in applied.result.outcomes.values()]
    if not results:
        return
    counted = ", ".join(f"{results.count(name)} {name}" for name in dict.fromkeys(results))
    sys.stderr.write(f"\nApply: {counted}.\n")
    if applied.outputs:
        from mlplan.report.plan_text import value_text

        sys.stdout.write("\nOutputs:\n\n")
        sys.stdout.writelines(f"{name} = {value_text(value)}\n" for name, value in applied.outputs.items())
