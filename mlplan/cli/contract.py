"""The commands contract check, diff, infer, import, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlplan.cli.catalogue import add
from mlplan.cli.options import Chdir, Json, NoColor, Var, VarFile, Workspace, project, settings, write_file

Format = Annotated[str, typer.Argument(help="The format: odcs (Open Data Contract Standard v3).")]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    contract_application = typer.Typer(
        help="Data contracts: check them, write a first one from data, exchange them with other programs.",
        no_args_is_help=True, rich_markup_mode=None,
    )  # fmt: skip
    add(
        contract_application, check,
        examples="""
        mlplan contract check
        mlplan contract check transactions --junit checks.xml
        """,
    )  # fmt: skip
    add(
        contract_application, diff,
        examples="""
        mlplan contract diff
        mlplan contract diff origin/main . --markdown
        mlplan contract diff old.mlplan.hcl new.mlplan.hcl --json
        """,
    )  # fmt: skip
    add(
        contract_application, infer,
        examples="""
        mlplan contract infer 'data/orders/*.parquet' --name orders --out orders.mlplan.hcl
        mlplan contract infer data/iris.csv
        """,
    )  # fmt: skip
    add(
        contract_application,
        import_,
        "import",
        examples="mlplan contract import odcs orders.odcs.yaml --out orders.mlplan.hcl",
    )
    add(contract_application, export, examples="mlplan contract export odcs data_contract.orders > orders.odcs.yaml")
    application.add_typer(contract_application, name="contract")


def check(
    names: Annotated[list[str] | None, typer.Argument(help="Contracts; all when left out.", show_default=False)] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    json: Json = False, no_color: NoColor = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML to this file.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Show checks that pass as well.")] = False,
) -> int:  # fmt: skip
    """Check contracts against what lies there now. Nothing is pinned and no state is needed. Exit code 3 when one says no."""
    from mlplan.app import contract as use_cases
    from mlplan.cli.terminal import stdout_style
    from mlplan.ledger.evidence import Verdict
    from mlplan.report import checks
    from mlplan.report.json_text import dumps

    checked = use_cases.check(project(settings(chdir, var, var_file, workspace, no_color)), names or [])
    if junit is not None:
        from mlplan.report.junit import junit as as_junit

        write_file(junit, as_junit((e for c in checked for e in c.evidence), "mlplan contract check"))
    if json:
        documents = [
            {"address": c.address, "source": c.source, "owner": c.owner, "rows": c.rows, "verdict": str(c.verdict),
             "evidence": [e.to_json() for e in c.evidence]}
            for c in checked
        ]  # fmt: skip
        sys.stdout.write(dumps({"format_version": "1.0", "contracts": documents}) + "\n")
    for one in checked if not json else ():
        rows = "" if one.rows is None else f": {one.rows:,} rows"
        title = f"{one.address} ({one.source}){rows}" + (f", owner {one.owner}" if one.owner else "")
        if markdown:
            sys.stdout.write(checks.checks_markdown(title, one.evidence) + "\n")
        else:
            sys.stdout.write(checks.checks_text(title, one.evidence, stdout_style(), every=every))
    verdicts = {c.verdict for c in checked}
    if Verdict.ERROR in verdicts:
        return 1
    return 3 if Verdict.FAIL in verdicts else 5 if Verdict.INCONCLUSIVE in verdicts else 0


def diff(
    old: Annotated[str, typer.Argument(help="A folder or file, an ODCS .yaml, a git revision, or applied: as last applied.")] = "applied",
    new: Annotated[str, typer.Argument(help="The same, to compare with.")] = ".",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    json: Json = False, no_color: NoColor = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 when all changes are compatible.")] = False,
) -> int:  # fmt: skip
    """Compare contracts: what changed, whom it breaks, which models must be trained again. Exit code 3 when something breaks."""
    from mlplan.app import contract_diff
    from mlplan.cli.terminal import stdout_style
    from mlplan.report import contract_diff as shown
    from mlplan.report.json_text import dumps

    found = contract_diff.diff(settings(chdir, var, var_file, workspace, no_color), old, new)
    documents = [one.to_json() for one in found]
    breaking = any(one.kind == "breaking" for one in found)
    kind = "breaking" if breaking else "compatible" if found else "none"
    if json:
        document = {"format_version": "1.0", "old": old, "new": new, "class": kind, "contracts": documents}
        sys.stdout.write(dumps(document) + "\n")
    elif markdown:
        sys.stdout.write(shown.diff_markdown(documents))
    else:
        sys.stdout.write(shown.diff_text(documents, stdout_style()))
    return 3 if breaking else 2 if found and detailed_exitcode else 0


def infer(
    source: Annotated[str, typer.Argument(help="A file, folder or glob, as a contract's source.")],
    name: Annotated[str, typer.Option("--name", help="Name of the contract; from the source when left out.")] = "",
    format: Annotated[str | None, typer.Option("--format", help="parquet, csv or json; by suffix when left out.")] = None,
    out: Out = None, chdir: Chdir = Path(),
) -> int:  # fmt: skip
    """Write a first contract from data: types, missing values, sets and keys as they are. Read it before you rely on it."""
    from mlplan.app import contract as use_cases
    from mlplan.cli import terminal

    root = (chdir if chdir != Path() else terminal.root()).resolve()
    _write(use_cases.infer(root, source, name, format), out)
    return 0


def import_(
    format: Format,
    path: Annotated[Path, typer.Argument(help="The document.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the contract, for a document with one table.")] = None,
    out: Out = None,
) -> int:  # fmt: skip
    """Turn a contract of another format into HCL; what has no counterpart is named on stderr."""
    from mlplan.app import contract as use_cases

    _known(format)
    text, notes = use_cases.import_odcs(path, name)
    _write(text, out)
    sys.stderr.writelines(f"Note: {note}\n" for note in notes)
    return 0


def export(
    format: Format,
    name: Annotated[str, typer.Argument(help="The contract, as data_contract.orders or orders.")],
    out: Out = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Write a contract for other programs; what it cannot say there is named on stderr."""
    from mlplan.app import contract as use_cases

    _known(format)
    text, notes = use_cases.export_odcs(project(settings(chdir, var, var_file, workspace)), name)
    _write(text, out)
    sys.stderr.writelines(f"Note: {note}\n" for note in notes)
    return 0


def _known(format: str) -> None:
    if format != "odcs":
        from mlplan.cli.options import invalid
        from mlplan.lang.diagnostic import DiagnosticError

        raise DiagnosticError(invalid(f'"{format}" is not a format that contracts are exchanged in; there is odcs.'))


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    write_file(out, text)
    sys.stderr.write(f"Written to {out}.\n")
