"""Commands about what stands behind a plan: providers and evidence."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli.catalogue import add
from mlplan.cli.completing import decided
from mlplan.cli.options import Chdir, Json, NoColor, Var, VarFile, Workspace, project, settings


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, evidence,
        examples="""
        mlplan evidence model.fraud
        mlplan evidence model.fraud.gate.fair_by_age --json
        mlplan evidence --verdict fail
        """,
    )  # fmt: skip
    add(
        application, providers,
        examples="""
        mlplan providers
        mlplan providers --json | jq '.[].problem'
        """,
    )  # fmt: skip


def evidence(
    name: Annotated[
        str | None, typer.Argument(help="An address, a gate or check below one, or fraud@production; left out, all.", autocompletion=decided)
    ] = None,
    verdict: Annotated[
        str | None, typer.Option("--verdict", help="Only these: pass, fail, inconclusive or error.")
    ] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
) -> int:  # fmt: skip
    """Print what was measured: verdict, estimate with its interval, limit, n, method, inputs."""
    from mlplan.app.evidence import evidence_of, evidence_text
    from mlplan.app.run import read_state
    from mlplan.cli.terminal import stdout_style
    from mlplan.report.json_text import dumps

    state = read_state(project(settings(chdir, var, var_file, workspace)))
    found = evidence_of(state, name, verdict)
    sys.stdout.write(dumps([e.to_json() for e in found]) + "\n" if json else evidence_text(found, stdout_style()))
    if not found:
        sys.stderr.write("There is no such evidence yet; check or apply yields some.\n")
    return 0


def providers(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], json: Json = False, no_color: NoColor = False,  # noqa: B006
) -> int:  # fmt: skip
    """List the providers that the files use, for what, and whether they can work here. Exit 1 when one cannot."""
    from mlplan.app.providers import providers as use_case
    from mlplan.report.json_text import dumps

    found = use_case(project(settings(chdir, var, var_file, no_color=no_color)))
    if json:
        sys.stdout.write(dumps([asdict(item) for item in found]) + "\n")
    else:
        for item in found:
            kind = "" if item.type == item.name else f" ({item.type})"
            sys.stdout.write(
                f"{item.name}{kind} {item.version or 'not installed'}: {', '.join(item.used_by) or 'unused'}\n"
            )
            sys.stdout.write(f"  {item.problem}\n" if item.problem else "")
        if not found:
            sys.stderr.write("The files use no provider.\n")
    return 1 if any(item.problem for item in found) else 0
