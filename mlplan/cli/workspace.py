"""The commands workspace list, show, new, select, delete."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli.catalogue import add
from mlplan.cli.completing import workspaces
from mlplan.cli.options import Chdir, Var, VarFile, project, settings

Name = Annotated[str, typer.Argument(help="The workspace.", autocompletion=workspaces)]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    workspace_application = typer.Typer(
        help="Several states of one project: list, show, new, select, delete.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    add(workspace_application, list_, "list", examples="mlplan workspace list")
    add(workspace_application, show, examples='test "$(mlplan workspace show)" = staging')
    add(workspace_application, new, examples="mlplan workspace new staging")
    add(
        workspace_application, select,
        examples="""
        mlplan workspace select staging
        mlplan workspace select --or-create "$BRANCH"
        """,
    )  # fmt: skip
    add(
        workspace_application, delete,
        examples="""
        mlplan workspace delete staging
        mlplan workspace delete staging --force
        """,
    )  # fmt: skip
    application.add_typer(workspace_application, name="workspace")


def list_(chdir: Chdir = Path(), var: Var = [], var_file: VarFile = []) -> int:  # noqa: B006
    """List the workspaces; a star marks the one in use."""
    from mlplan.app import workspace

    given = settings(chdir, var, var_file)
    names = sorted({*workspace.names(project(given)), given.workspace})
    sys.stdout.writelines(f"{'*' if name == given.workspace else ' '} {name}\n" for name in names)
    return 0


def show(chdir: Chdir = Path()) -> int:
    """Print the workspace in use."""
    sys.stdout.write(settings(chdir).workspace + "\n")
    return 0


def new(name: Name, chdir: Chdir = Path(), var: Var = [], var_file: VarFile = []) -> int:  # noqa: B006
    """Make a workspace with an empty state, and use it from now on."""
    from mlplan.app import workspace

    workspace.check_name(name)
    workspace.new(project(settings(chdir, var, var_file, name)))
    sys.stderr.write(f'Made, and in use now: "{name}". Its state is empty. Next: mlplan plan\n')
    return 0


def select(
    name: Name,
    or_create: Annotated[bool, typer.Option("--or-create", help="Make it when there is none.")] = False,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [],  # noqa: B006
) -> int:  # fmt: skip
    """Use another workspace from now on."""
    from mlplan.app import workspace

    workspace.check_name(name)
    opened = project(settings(chdir, var, var_file, name))
    if or_create and name not in workspace.names(opened):
        workspace.new(opened)
    else:
        workspace.select(opened, name)
    sys.stderr.write(f'In use now: "{name}".\n')
    return 0


def delete(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Even when it remembers things; they run on, forgotten.")
    ] = False,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [],  # noqa: B006
) -> int:  # fmt: skip
    """Remove a workspace with its state and history. Not the one in use, and none that still remembers things."""
    from mlplan.app import workspace

    workspace.check_name(name)
    forgotten = workspace.delete(project(settings(chdir, var, var_file, name)), force)
    tail = f" It remembered {forgotten} addresses; what they stand for was left running." if forgotten else ""
    sys.stderr.write(f'Removed: "{name}".{tail}\n')
    return 0
