"""The options that many commands share, and the project they describe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlplan.cli import completing, errors, terminal
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

if TYPE_CHECKING:
    from mlplan.app.compose import Project, Settings

Chdir = Annotated[
    Path, typer.Option("--chdir", help="Work in this folder instead of the current one.", show_default=False)
]
Var = Annotated[list[str], typer.Option("--var", help="A variable as NAME=VALUE. May be repeated.", show_default=False)]
VarFile = Annotated[
    list[Path], typer.Option("--var-file", help="A file of variables. May be repeated.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour, as with NO_COLOR in the environment.")]
Workspace = Annotated[
    str,
    typer.Option(
        "--workspace", help="Which state of this project; the selected one when left out.", show_default=False,
        envvar="MLPLAN_WORKSPACE", autocompletion=completing.workspaces,
    ),
]  # fmt: skip
Target = Annotated[
    list[str],
    typer.Option(
        "--target",
        help="Only this address and what it needs. May be repeated.",
        show_default=False,
        autocompletion=completing.addresses,
    ),
]
Exclude = Annotated[
    list[str],
    typer.Option(
        "--exclude",
        help="All but this address and what needs it.",
        show_default=False,
        autocompletion=completing.addresses,
    ),
]
Replace = Annotated[
    list[str],
    typer.Option(
        "--replace",
        help="Make it anew although nothing changed: train a model again, check data again.",
        show_default=False,
        autocompletion=completing.addresses,
    ),
]
LockTimeout = Annotated[str, typer.Option("--lock-timeout", help='How long to wait for the lock, as "5m".')]
Parallelism = Annotated[int, typer.Option("--parallelism", help="Steps at the same time.", min=1, max=64)]
Input = Annotated[bool, typer.Option("--input/--no-input", help="Ask where something has to be confirmed.")]
CompactWarnings = Annotated[
    bool, typer.Option("--compact-warnings", help="One line a warning, when there are no errors.")
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", "-y", help="Do not ask.")]


def settings(
    chdir: Path, var: list[str] | None = None, var_file: list[Path] | None = None, workspace: str = "",
    no_color: bool = False,
) -> Settings:  # fmt: skip
    """Return what the command line says. Raises: DiagnosticError (invalid-option)."""
    from mlplan.app.compose import Settings
    from mlplan.app.workspace import check_name, selected

    chdir = chdir if chdir != Path() else terminal.root()
    terminal.choose(no_color, chdir)
    variables = {}
    for text in var or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise DiagnosticError(invalid(f'--var "{text}" is not of the form NAME=VALUE.'))
        variables[name.strip()] = value
    if workspace:
        check_name(workspace)
    if not chdir.is_dir():
        raise DiagnosticError(invalid(f"--chdir {chdir} is not a folder."))
    root = chdir.resolve()
    name = workspace or os.environ.get("MLPLAN_WORKSPACE") or selected(root)
    return Settings(root, variables, tuple(var_file or ()), dict(os.environ), name)


def project(given: Settings, *, anywhere: bool = False, lenient: bool = False) -> Project:
    """Return the wired project, after showing its warnings. anywhere: its backend may have changed. lenient: see `open_project`."""
    from mlplan.app.compose import open_project

    opened = open_project(given, anywhere=anywhere, lenient=lenient)
    if opened.warnings:
        errors.show(opened.warnings, opened.program.sources)
    return opened


def seconds(text: str) -> float:
    """Return a duration option in seconds."""
    from mlplan.config.quantities import parse_duration

    return parse_duration(text)


def write_file(path: Path, text: str) -> None:
    """Write a file that the command line names. Raises: DiagnosticError (file-unwritable)."""
    try:
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        detail = f"{path}: {error.strerror or error}."
        raise DiagnosticError(Diagnostic("file-unwritable", "A file cannot be written", detail)) from error


def invalid(detail: str) -> Diagnostic:
    """Return what is wrong with an option."""
    return Diagnostic("invalid-option", "An option cannot be used", detail)
