"""Commands that only read: show, output, explain, comment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlplan.app import explain as explaining
from mlplan.app import run as use_cases
from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.completing import decided
from mlplan.cli.options import Chdir, Json, NoColor, Var, VarFile, Workspace, invalid, project, settings, write_file
from mlplan.cli.terminal import stdout_style
from mlplan.engine.kind import Options
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion

NO_OUTPUTS = Diagnostic(
    "no-outputs", "There are no outputs",
    "The state has no outputs: none is declared, or nothing was applied since they are. Declare them in output blocks and apply.",
    "warning",
)  # fmt: skip


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, show,
        examples="""
        mlplan show
        mlplan show plan.mlplan
        mlplan show --json plan.mlplan | jq '.resource_changes[].reasons'
        """,
    )  # fmt: skip
    add(
        application, output,
        examples="""
        mlplan output
        curl "$(mlplan output --raw scoring_url)"
        """,
    )  # fmt: skip
    add(
        application, explain,
        examples="""
        mlplan explain fraud@production
        mlplan explain monitor.fraud_live
        """,
    )  # fmt: skip
    add(
        application, comment,
        examples="""
        mlplan plan --out plan.mlplan && mlplan comment plan.mlplan --out comment.md
        """,
    )  # fmt: skip


def show(
    plan_file: Annotated[Path | None, typer.Argument(help="A saved plan; left out, the state.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    json: Json = False, no_color: NoColor = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The plan as a pull request shows it.")] = False,
    compact: Annotated[bool, typer.Option("--compact", help="One line a change.")] = False,
) -> int:  # fmt: skip
    """Show a saved plan, or everything the state remembers. A plan is read as it is; the files are not looked at."""
    from mlplan.report.json_text import dumps, state_json

    given = settings(chdir, var, var_file, workspace, no_color)
    if plan_file is None:
        state = use_cases.read_state(project(given))
        text = dumps(state_json(state)) if json else explaining.state_text(state)
        sys.stdout.write(text.rstrip("\n") + "\n")
        return 0
    from mlplan.app import saved

    made = saved.load(given, plan_file)
    if json:
        from mlplan.cli.terminal import sources_of
        from mlplan.report.plan_json import plan_json

        sys.stdout.write(dumps(plan_json(made, sources_of(made.diagnostics))) + "\n")
    elif markdown:
        from mlplan.report.markdown import plan_markdown

        sys.stdout.write(plan_markdown(made, given.root.name, f"mlplan apply {plan_file}"))
    else:
        from mlplan.report.plan_text import plan_text

        sys.stdout.write(plan_text(made, stdout_style(), compact=compact))
    return 0


def output(
    name: Annotated[str | None, typer.Argument(help="One output; left out, all.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
    raw: Annotated[bool, typer.Option("--raw", help="The bare value of one output, without quotes and line end, for scripts.")] = False,
    no_color: NoColor = False,
) -> int:  # fmt: skip
    """Print outputs of the last apply. With --json and no name, each with its type and whether it is sensitive."""
    from mlplan.report.json_text import dumps
    from mlplan.report.output_text import output_json, raw_text, value_of

    given = settings(chdir, var, var_file, workspace, no_color)
    outputs = use_cases.read_state(project(given, lenient=True)).outputs
    if name is None:
        if raw:
            raise DiagnosticError(invalid("--raw prints one output: name it."))
        if json:
            sys.stdout.write(dumps({k: output_json(v) for k, v in outputs.items()}) + "\n")
        elif outputs:
            sys.stdout.writelines(f"{k} = {value_of(v)}\n" for k, v in outputs.items())
        else:
            errors.show((NO_OUTPUTS,))
        return 0
    if name not in outputs:
        detail = f'There is no output "{name}". Known: {", ".join(outputs) or "none; apply first"}.'
        raise DiagnosticError(
            Diagnostic("unknown-output", "There is no such output", detail, hint=suggestion(name, outputs))
        )
    value: Any = outputs[name]
    if raw:
        sys.stdout.write(raw_text(name, value))
    else:
        sys.stdout.write((dumps(value, indent=False) if json else value_of(value)) + "\n")
    return 0


def explain(
    name: Annotated[str, typer.Argument(help="An address, or flights@production.", autocompletion=decided)],
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", no_color: NoColor = False,  # noqa: B006
) -> int:  # fmt: skip
    """Print the whole chain of why: what is recorded, on what evidence, from what, and what would change next."""
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    made = use_cases.plan(opened, Options())
    sys.stdout.write(explaining.explain(use_cases.read_state(opened), made, name))
    return 0


def comment(
    plan_file: Annotated[Path, typer.Argument(help="A saved plan.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; stdout when left out.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Write the Markdown that a pull request shows for a saved plan."""
    from mlplan.app import saved
    from mlplan.report.markdown import plan_markdown

    given = settings(chdir, var, var_file, workspace)
    text = plan_markdown(saved.load(given, plan_file), given.root.name, f"mlplan apply {plan_file}")
    if out is None:
        sys.stdout.write(text)
    else:
        write_file(out, text)
    return 0
