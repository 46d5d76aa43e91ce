"""Commands around the files: init, validate, fmt."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli import errors, terminal
from mlplan.cli.catalogue import add
from mlplan.cli.options import (
    Chdir,
    Json,
    LockTimeout,
    NoColor,
    Var,
    VarFile,
    Workspace,
    project,
    seconds,
    settings,
    write_file,
)


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, init,
        examples="""
        mlplan init
        mlplan -chdir=examples/flights init
        mlplan init -migrate-state
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
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", no_color: NoColor = False,  # noqa: B006  (typer reads the default)
    migrate_state: Annotated[bool, typer.Option("--migrate-state", help="Move the state here from where it was before.")] = False,
    reconfigure: Annotated[bool, typer.Option("--reconfigure", help="Use this backend whatever was used before.")] = False,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take git modules as their refs are now, and pin that.")] = False,
    lock_timeout: LockTimeout = "0s",
) -> int:  # fmt: skip
    """Fetch git modules, make the state of this project and look whether its providers can work here. Safe to repeat."""
    from mlplan.app.init import init as use_case
    from mlplan.app.modules import install

    given = settings(chdir, var, var_file, workspace, no_color)
    for module in install(given, upgrade):
        sys.stderr.write(f"Module {module.source}: {module.commit[:12]}{' (pinned)' if module.new else ''}.\n")
    if not any(given.root.glob("*.mlplan.hcl")):
        sys.stderr.write(
            f"{given.root} has no *.mlplan.hcl file yet: there is nothing to set up. Write one, then run mlplan init again.\n"
        )
        return 0
    opened = project(given, anywhere=True, lenient=True)
    made = use_case(opened, move=migrate_state, anew=reconfigure, timeout=seconds(lock_timeout))
    errors.show(made.warnings)
    for name, moved in made.moved.items():
        sys.stderr.write(
            f"Moved workspace {name}: {moved.records} records at serial {moved.serial}, {moved.snapshots} snapshots.\n"
        )
    if made.moved:
        sys.stderr.write(f"The copy in {made.before} is left as it is; nothing uses it any more.\n")
    what = "State made" if made.created else "State is there already"
    sys.stderr.write(f"{what} (lineage {made.lineage}, workspace {opened.settings.workspace}).\n")
    sys.stderr.write(f"Providers: {', '.join(made.providers) or 'none used'}. Next: mlplan plan\n")
    return 0


def validate(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], json: Json = False, no_color: NoColor = False,  # noqa: B006  (typer reads the default)
) -> int:  # fmt: skip
    """Check the files without looking at state, data or world."""
    from mlplan.app.validate import validate as use_case
    from mlplan.cli.terminal import sources_of
    from mlplan.report.json_text import diagnostics_json, dumps

    given = settings(chdir, var, var_file, no_color=no_color)
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
        list[Path] | None,
        typer.Argument(help='Files or folders; "-" for stdin to stdout; the current folder when left out.'),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 3 when a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what changes.")] = False,
    write: Annotated[bool, typer.Option("--write/--no-write", help="Write the files.")] = True,
    show: Annotated[bool, typer.Option("--list/--no-list", help="Name the files that change.")] = True,
    recursive: Annotated[bool, typer.Option("--recursive", help="Folders inside folders as well.")] = False,
    chdir: Chdir = Path(), no_color: NoColor = False,
) -> int:  # fmt: skip
    """Bring HCL files into the one layout, comments kept. The files that change are named on stdout."""
    from mlplan.app.fmt import STDIN, format_one, formatted

    terminal.choose(no_color, chdir if chdir != Path() else terminal.root())
    root = terminal.root()
    if paths == [Path("-")]:
        made = format_one(Path(STDIN), sys.stdin.read())
        errors.show(made.diagnostics, made.sources)
        sys.stdout.write(
            "".join(_difference(made.before, made.after, STDIN)) if diff else made.after if not check else ""
        )
        return 1 if made.diagnostics else 3 if check and made.changes else 0
    changed = failed = False
    for made in formatted([root / path for path in paths or [Path()]], recursive):
        failed = failed or bool(made.diagnostics)
        errors.show(made.diagnostics, made.sources)
        if not made.changes:
            continue
        changed = True
        if show:
            sys.stdout.write(f"{made.path}\n")
        if diff:
            sys.stdout.writelines(_difference(made.before, made.after, str(made.path)))
        if write and not check:
            write_file(made.path, made.after)
    return 1 if failed else 3 if check and changed else 0


def _difference(before: str, after: str, name: str) -> Iterator[str]:
    yield from difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), f"{name} (now)", f"{name} (formatted)"
    )


def version(json: Json = False) -> int:
    """Print the version of mlplan, and with --json those of Python and of the installed providers and stores."""
    from mlplan import __version__

    if json:
        from mlplan.app.version import version as use_case
        from mlplan.report.json_text import dumps

        sys.stdout.write(dumps(use_case()) + "\n")
    else:
        sys.stdout.write(f"mlplan {__version__}\n")
    return 0
