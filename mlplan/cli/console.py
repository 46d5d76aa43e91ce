"""The command console: a prompt with history on a terminal, a filter of expressions in a pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, NoColor, Var, VarFile, Workspace, settings
from mlplan.lang.diagnostic import DiagnosticError

if TYPE_CHECKING:
    from mlplan.app.console import Console

MOST_LINES_KEPT = 1000
WELCOME = """\
Type an expression to see its value, as in: upper("a"), var.NAME, model.NAME.version, [for x in [1, 2] : x * 2].
Brackets may stay open over several lines. Names and functions are completed with the tab key.
To leave, type exit, or press Control-D."""


def register(application: typer.Typer) -> None:
    """Add the command."""
    add(
        application, console,
        examples="""
        mlplan console
        echo 'model.flights.metrics.roc_auc' | mlplan console
        mlplan console --var region=eu
        """,
    )  # fmt: skip


def console(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", no_color: NoColor = False,  # noqa: B006
) -> int:  # fmt: skip
    """Evaluate expressions: interactive on a terminal, else one a line from stdin, the value of each to stdout.

    Sees the variables, locals and blocks of the files, and what the state remembers. Changes nothing. In a pipe the
    first expression that fails ends the run with exit code 1.
    """
    from mlplan.app.console import open_console

    opened = open_console(settings(chdir, var, var_file, workspace, no_color))
    errors.show(opened.warnings)
    return _interactive(opened) if sys.stdin.isatty() else _piped(opened)


def _piped(opened: Console) -> int:
    pending = ""
    for line in sys.stdin:
        text = pending + line.rstrip("\r\n")
        if opened.is_open(text):
            pending = text + "\n"
            continue
        pending = ""
        text = text.strip()
        if text == "exit":
            return 0
        if text and not _tell(opened, text):
            return 1
    return 0 if not pending.strip() or _tell(opened, pending) else 1


def _tell(opened: Console, text: str) -> bool:
    """Print the answer, or what is wrong; return whether there was one."""
    from mlplan.lang.console import NAME
    from mlplan.lang.source import SourceFile

    if text.strip() == "help":
        sys.stdout.write(WELCOME + "\n")
        return True
    try:
        answer = opened.answer(text)
    except DiagnosticError as error:
        errors.show(error.diagnostics, {NAME: SourceFile(NAME, text)})
        return False
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()
    return True


def _interactive(opened: Console) -> int:
    sys.stderr.write(WELCOME + "\n\n")
    history = _History(opened)
    try:
        while True:
            try:
                text = input("> ")
                while opened.is_open(text):
                    text += "\n" + input(": ")
            except EOFError:
                sys.stderr.write("\n")
                return 0
            except KeyboardInterrupt:
                sys.stderr.write("\n")
                continue  # as in a shell: the line is given up, not the session
            if text.strip() == "exit":
                return 0
            if text.strip():
                _tell(opened, text)
    finally:
        history.save()


class _History:
    """Line editing, completion and the lines of earlier sessions; without readline, none of it."""

    def __init__(self, opened: Console) -> None:
        home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        self._path = Path(home) / "mlplan" / "console_history"
        try:
            import readline
        except ImportError:  # Python may be built without it
            self._readline = None
            return
        self._readline = readline
        names = opened.names()

        def complete(word: str, index: int) -> str | None:
            found = [name for name in names if name.startswith(word)]
            return found[index] if index < len(found) else None

        readline.set_completer(complete)
        readline.set_completer_delims(" \t\n()[]{}+-*/%,;:=<>!?\"'")
        readline.parse_and_bind("tab: complete")
        if self._path.is_file():
            readline.read_history_file(self._path)

    def save(self) -> None:
        """Keep the newest lines, readable by their owner alone: a line may hold what is nobody else's business."""
        if self._readline is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._readline.set_history_length(MOST_LINES_KEPT)
            self._readline.write_history_file(self._path)
            self._path.chmod(0o600)
        except OSError as error:
            sys.stderr.write(f"The history could not be kept: {error.strerror}.\n")
