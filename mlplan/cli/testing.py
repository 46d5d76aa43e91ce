"""The command test."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.app.untrusted import refuse_foreign
from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, Json, NoColor, Var, VarFile, settings, write_file
from mlplan.cli.terminal import stdout_style
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError


def register(application: typer.Typer) -> None:
    """Add the command."""
    add(
        application, run_tests, "test",
        examples="""
        mlplan test
        mlplan test --filter tests/gates.test.hcl --verbose
        mlplan test --junit-xml report.xml
        """,
    )  # fmt: skip


def run_tests(
    filter_: Annotated[
        list[str], typer.Option("--filter", help="Only this test file. May be repeated.", show_default=False)
    ] = [],  # noqa: B006
    folder: Annotated[
        str, typer.Option("--test-directory", help="Where test files are, besides the project's own folder.")
    ] = "tests",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the plan of every run.")] = False,
    junit_xml: Annotated[
        Path | None, typer.Option("--junit-xml", help="Write JUnit XML to this file as well.", show_default=False)
    ] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], json: Json = False, no_color: NoColor = False,  # noqa: B006
) -> int:  # fmt: skip
    """Carry out the runs of *.test.hcl files and check what they assert. Exit 1 when one does not pass.

    Every file works in a copy of the project with a state of its own, which is removed at the end with all that was made.
    """
    from mlplan.app.testing.read import read
    from mlplan.app.testing.running import run_file
    from mlplan.report import test_report as report
    from mlplan.report.json_text import dumps

    refuse_foreign(os.environ, "test")
    given = settings(chdir, var, var_file, no_color=no_color)
    style, results = stdout_style(), []

    def tell(path: str, run: report.RunResult, sources: dict[str, object]) -> None:
        if json:
            sys.stdout.write(dumps(report.run_json(path, run, sources), indent=False) + "\n")  # type: ignore[arg-type]
        else:
            sys.stdout.write(report.run_line(run, style))
            if verbose and run.shown:
                sys.stdout.write("\n" + "".join(f"    {line}\n" for line in run.shown.splitlines()) + "\n")
            sys.stdout.flush()
            errors.show(run.diagnostics, sources)  # type: ignore[arg-type]
        sys.stdout.flush()

    for path in _chosen(given.root, folder, filter_):
        file, problems = read(path, given.root)
        if not json:
            sys.stdout.write(report.file_line(file.path, "in progress", style))
        if any(d.is_error for d in problems):
            result = report.FileResult(file.path, (), tuple(problems), {file.path: file.source})
        else:
            result = run_file(file, given, tell)  # type: ignore[arg-type]
        results.append(result)
        if json:
            sys.stdout.write(dumps(report.file_json(result), indent=False) + "\n")
        else:
            sys.stdout.write(report.file_line(file.path, result.status, style))
            sys.stdout.flush()
            errors.show(result.diagnostics, result.sources)
    if junit_xml is not None:
        write_file(junit_xml, report.junit(results))
    sys.stdout.write(
        dumps(report.summary_json(results), indent=False) + "\n" if json else f"\n{report.summary(results)}\n"
    )
    return 0 if all(result.status in ("pass", "skip") for result in results) else 1


def _chosen(root: Path, folder: str, wanted: list[str]) -> list[Path]:
    from mlplan.app.testing.read import find

    found = find(root, folder)
    if not found:
        sys.stderr.write(f"There is no *.test.hcl file in {root} or {root / folder}.\n")
    if not wanted:
        return found
    chosen = [
        path for path in found if {path.name, str(path.relative_to(root))} & {w.removeprefix("./") for w in wanted}
    ]
    if not chosen:
        detail = f"--filter {', '.join(wanted)} matches none of {', '.join(p.name for p in found) or 'no files'}."
        raise DiagnosticError(Diagnostic("invalid-option", "An option cannot be used", detail))
    return chosen
