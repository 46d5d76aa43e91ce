"""The application: one typer object with the commands that are asked for. Each turns options into one use case; logic is in `app`."""

from __future__ import annotations

from pathlib import Path

import typer

from mlplan.cli import catalogue, terminal
from mlplan.cli.options import Chdir

HELP = """Plan and apply for machine-learning delivery: from data snapshot to traffic split, declared in HCL.

Start with: mlplan init, mlplan plan, mlplan apply. "mlplan COMMAND --help" explains one command, with examples.

Options may be written with one dash, as Terraform writes them: -out, -var, -target.

\b
Exit codes:
  0  done, or live matches the files
  1  error
  2  the plan has changes (only with --detailed-exitcode)
  3  a gate or a contract said no; what is live was not touched
  4  rolled back; the previous version is live
  5  cannot say yet, or waiting
  6  the lock is held, or the plan is stale
"""


def application(command: str = "") -> typer.Typer:
    """Return the application with one command, or with all when it is none of them."""
    made = typer.Typer(
        name="mlplan",
        help=HELP,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    made.callback()(_root)
    catalogue.register(made, command)
    return made


def _root(chdir: Chdir = Path()) -> None:
    # Without a callback typer would make a lone command the whole application, and "mlplan plan" would be an argument of it.
    terminal.choose(False, chdir)
