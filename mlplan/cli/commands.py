"""The commands. Each turns options into one use case and its result into text and an exit code; logic is in `app`."""

from __future__ import annotations

import typer

from mlplan.cli import deciding, planning, project, showing

application = typer.Typer(
    name="mlplan",
    help="Plan and apply for machine-learning delivery: from data snapshot to traffic split, declared in HCL.\n\n"
    "Start with: mlplan init, mlplan plan, mlplan apply.\n\n"
    "Exit codes: 0 done, 1 error, 2 changes (with --detailed-exitcode), 3 a gate or contract said no, 4 rolled back, "
    "5 cannot say yet or waiting, 6 lock held or plan stale.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
project.register(application)
planning.register(application)
showing.register(application)
deciding.register(application)
