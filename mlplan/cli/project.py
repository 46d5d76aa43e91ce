"""Commands around the files: init, validate, fmt."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, Json, NoColor, Var, VarFile, Workspace, project, settings


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, init,
        examples="""
        mlplan init
        mlplan -chdir=examples/flights init
        """,
    )  # fmt: skip
    add(
        application, validate,
        examples="""
        mlplan validate
        mlplan validate --json | jq '.diagnostics[].summary'
        """,
    )  # fmt: skip
    add(
        application, fmt,
        examples="""
        mlplan fmt
        mlplan fmt --check --diff
        mlplan fmt - < main.mlplan.hcl
        """,
    )  # fmt: skip
    add(
        application, version,
        examples="""
        mlplan version
        mlplan version --json
        """,
    )  # fmt: skip


def init(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "default", no_color: NoColor = False,  # noqa: B006  (typer reads the default)
) -> int:  # fmt: skip
    """Make the state of this project and look whether its providers can work here. Safe to repeat."""
    from mlplan.app.init import init as use_case

    opened = project(settings(chdir, var, var_file, workspace, no_color))
    made = use_case(opened)
    errors.show(made.warnings)
    what = "State made" if made.created else "State is there already"
    sys.stderr.write(f"{what} (lineage {made.lineage}, workspace {workspace}).\n")
    sys.stderr.write(f"Providers: {', '.join(made.providers) or 'none used'}. Next: mlplan plan\n")
    return 0


def validate(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], json: Json = False, no_color: NoColor = False,  # noqa: B006  (typer reads the default)
) -> int:  # fmt: skip
    """Check the files without looking at state, data or world."""
    from mlplan.app.validate import validate as use_case
    from mlplan.cli.terminal import sources_of
    from mlplan.report.json_text import diagnostics_json, dumps

    given = settings(chdir, var, var_file, "default", no_color)
    found = use_case(given)
    failed = any(d.is_error for d in found)
    if json:
        sys.stdout.write(dumps(diagnostics_json(found, sources_of(found))) + "\n")
    else:
        errors.show(found)
        if not failed:
            sys.stderr.write("The files are valid.\n")
    return 1 if failed else 0


def fmt(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; the current folder when left out.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 3 when a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change.")] = False,
) -> int:
    """Bring HCL files into the one layout, comments kept."""
    from mlplan.app.fmt import formatted

    changed = False
    for path, before, after in formatted(paths or [Path()]):
        changed = True
        sys.stdout.write(f"{path}\n")
        if diff:
            lines = difflib.unified_diff(
                before.splitlines(True), after.splitlines(True), f"{path} (now)", f"{path} (formatted)"
            )
            sys.stdout.writelines(lines)
        if not check and not diff:
            path.write_text(after, encoding="utf-8")
    return 3 if check and changed else 0


def version() -> int:
    """Print the version."""
    from mlplan import __version__

    sys.stdout.write(f"mlplan {__version__}\n")
    return 0
