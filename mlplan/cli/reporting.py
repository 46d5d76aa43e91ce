"""The command report."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, Var, VarFile, Workspace, project, settings, write_file


def register(application: typer.Typer) -> None:
    """Add the command."""
    add(
        application, report,
        examples="""
        mlplan report --out report.html
        mlplan report plan.mlplan --out report.html
        """,
    )  # fmt: skip


def report(
    plan_file: Annotated[Path | None, typer.Argument(help="A saved plan to show as well.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Write one HTML page: state, evidence, drift drawn by column, metrics by version, rollouts, lineage. It loads nothing."""
    from mlplan.app import run as use_cases
    from mlplan.app import saved
    from mlplan.report.html_report import html_report

    given = settings(chdir, var, var_file, workspace)
    state = use_cases.read_state(project(given))
    made = saved.load(given, plan_file) if plan_file is not None else None
    html = html_report(given.root.name, state, made, time.time())
    if out is None:
        sys.stdout.write(html)
        return 0
    write_file(out, html)
    sys.stderr.write(f"Written to {out}.\n")
    return 0
