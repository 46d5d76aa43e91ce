"""The command graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, Var, VarFile, Workspace, project, settings
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion

TYPES = ("files", "plan")


def register(application: typer.Typer) -> None:
    """Add the command."""
    add(
        application, graph,
        examples="""
        mlplan graph | dot -Tpng > graph.png
        mlplan graph --format svg > graph.svg
        mlplan graph --type plan --format mermaid
        mlplan graph --plan plan.mlplan --format svg > plan.svg
        """,
    )  # fmt: skip


def graph(
    format_: Annotated[str, typer.Option("--format", help="dot, mermaid or svg.")] = "dot",
    type_: Annotated[str, typer.Option("--type", help="files, or plan: with what a plan would do.")] = "files",
    plan_file: Annotated[Path | None, typer.Option("--plan", help="A saved plan.", show_default=False)] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Draw what depends on what: DOT for Graphviz, Mermaid for Markdown, SVG for a browser."""
    from mlplan.app import graph as use_case
    from mlplan.app import run, saved
    from mlplan.engine.kind import Options
    from mlplan.report.graph_text import FORMATS

    _known("--format", format_, tuple(FORMATS))
    _known("--type", type_, TYPES)
    given = settings(chdir, var, var_file, workspace)
    if plan_file is not None:
        made = use_case.graph_of_plan(saved.load(given, plan_file))
    elif type_ == "plan":
        made = use_case.graph_of_plan(run.plan(project(given), Options()))
    else:
        made = use_case.graph_of_files(project(given))
    sys.stdout.write(FORMATS[format_](made))
    return 0


def _known(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        detail = f'{option} is "{value}"; it can be {", ".join(choices)}.'
        raise DiagnosticError(
            Diagnostic("invalid-option", "An option cannot be used", detail, hint=suggestion(value, choices))
        )
