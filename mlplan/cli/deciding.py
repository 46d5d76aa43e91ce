"""Commands by which people decide: promote, abort, release, override."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.app import decide
from mlplan.cli.catalogue import add
from mlplan.cli.completing import decided
from mlplan.cli.options import Chdir, Var, VarFile, Workspace, project, settings

Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
Who = Annotated[str | None, typer.Option("--who", help="In whose name; the current user when left out.")]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(application, promote, examples="mlplan promote fraud@production --reason 'reviewed with risk'")
    add(application, abort, examples="mlplan abort fraud@production --reason 'wrong pricing table'")
    add(
        application, release,
        examples="""
        mlplan release model.fraud
        mlplan release fraud@production --reason 'the timeout was ours'
        """,
    )  # fmt: skip
    add(
        application, override,
        examples="mlplan override model.fraud.gate.fair_by_age --reason 'the group has 12 rows' --who ada",
    )  # fmt: skip


def promote(
    name: Annotated[str, typer.Argument(help="Where to, as flights@production.", autocompletion=decided)],
    reason: Reason = "", who: Who = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Approve the version that waits to come into an environment; the next apply brings it there."""
    opened = project(settings(chdir, var, var_file, workspace))
    sys.stderr.write(decide.promote(opened, name, who, reason) + ". Next: mlplan apply\n")
    return 0


def release(
    name: Annotated[str, typer.Argument(help="What to release: a model, a contract, or flights@production.", autocompletion=decided)],
    reason: Reason = "",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """End a hold: what was rejected may be tried again by the next apply."""
    opened = project(settings(chdir, var, var_file, workspace))
    sys.stderr.write(decide.release(opened, name, reason) + ". Next: mlplan apply\n")
    return 0


def abort(
    name: Annotated[str, typer.Argument(help="Whose rollout, as flights@production.")],
    reason: Reason = "",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """End a rollout that is on its way: the next apply gives all traffic back and rejects its version."""
    opened = project(settings(chdir, var, var_file, workspace))
    sys.stderr.write(decide.abort(opened, name, reason) + ". Next: mlplan apply\n")
    return 0


def override(
    gate: Annotated[str, typer.Argument(help="The gate, as model.fraud.gate.fair_by_age.")],
    reason: Reason = "", who: Who = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Let the newest rejected version pass one gate, with a reason that is kept."""
    opened = project(settings(chdir, var, var_file, workspace))
    sys.stderr.write(decide.override(opened, gate, reason, who) + ". Next: mlplan apply\n")
    return 0
