"""The commands plan, apply, destroy and check."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlplan.app import run as use_cases
from mlplan.app.untrusted import foreign_head, refuse_foreign
from mlplan.cli import terminal
from mlplan.cli.applying import Manner, apply_plan, show_plan
from mlplan.cli.catalogue import add
from mlplan.cli.options import (
    AutoApprove,
    Chdir,
    CompactWarnings,
    Exclude,
    Input,
    Json,
    LockTimeout,
    NoColor,
    Parallelism,
    Replace,
    Target,
    Var,
    VarFile,
    Workspace,
    invalid,
    project,
    seconds,
    settings,
)
from mlplan.engine.kind import Options
from mlplan.lang.diagnostic import DiagnosticError

if TYPE_CHECKING:
    from mlplan.app.compose import Project, Settings

Unattended = Annotated[
    bool, typer.Option("--unattended", help="Nobody watches: no removals, no unreviewed data, repairs within budgets.")
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="One look at every rollout instead of waiting; exit 5 meanwhile.")
]
Refresh = Annotated[
    bool, typer.Option("--refresh/--no-refresh", help="Look at the world; --refresh=false takes the state's word.")
]
RefreshOnly = Annotated[bool, typer.Option("--refresh-only", help="Keep what the world says, and change nothing else.")]
ChangedSince = Annotated[
    str | None,
    typer.Option("--changed-since", help="Only what changed since a git revision, and what depends on it."),
]
Untrusted = Annotated[
    bool,
    typer.Option(
        "--untrusted",
        help="Files of strangers: in a sandbox without network, environment and providers. Automatic where CI says fork.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option("--base", help="With --untrusted: the revision whose gates and rules this head is compared with."),
]
Compact = Annotated[bool, typer.Option("--compact", help="One line a change.")]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(
        application, plan,
        examples="""
        mlplan plan
        mlplan plan --out plan.mlplan
        mlplan plan --target 'model.fraud' --var region=eu
        mlplan plan --detailed-exitcode --json > plan.json
        mlplan plan --untrusted --base origin/main
        """,
    )  # fmt: skip
    add(
        application, apply,
        examples="""
        mlplan apply
        mlplan apply plan.mlplan
        mlplan apply --unattended --no-wait
        """,
    )  # fmt: skip
    add(
        application, destroy,
        examples="""
        mlplan destroy
        mlplan destroy --target 'monitor.fraud_live' --auto-approve
        """,
    )  # fmt: skip
    add(
        application, check,
        examples="""
        mlplan check
        mlplan check --target model.fraud --json
        """,
    )  # fmt: skip


def plan(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan, signed, for apply.")] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to remove everything.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")] = False,
    refresh: Refresh = True, refresh_only: RefreshOnly = False, target: Target = [], exclude: Exclude = [],  # noqa: B006
    replace: Replace = [], changed_since: ChangedSince = None, unattended: Unattended = False,  # noqa: B006
    json: Json = False, no_color: NoColor = False, compact: Compact = False, parallelism: Parallelism = 10,
    untrusted: Untrusted = False, base: Base = None, input: Input = True, compact_warnings: CompactWarnings = False,
    lock: Annotated[bool, typer.Option("--lock/--no-lock", hidden=True, help="A plan takes no lock.")] = True,
) -> int:  # fmt: skip
    """Show what apply would do, with reasons and evidence. Changes nothing and runs no code of yours."""
    terminal.behave(json="document" if json else "", compact_warnings=compact_warnings)
    if untrusted or foreign_head(os.environ):
        if out is not None or destroy or refresh_only or changed_since is not None or replace or exclude:
            raise DiagnosticError(
                invalid("A plan of strange files is only shown: of the options that select it takes --target.")
            )
        wanted = {"targets": target, "json": json, "compact": compact, "detailed_exitcode": detailed_exitcode}
        return _untrusted(settings(chdir, var, var_file, workspace, no_color), wanted, base)
    if refresh_only and (destroy or replace or not refresh):
        raise DiagnosticError(
            invalid("--refresh-only changes nothing: it excludes --destroy, --replace and --refresh=false.")
        )
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(
        destroy=destroy, refresh=refresh, refresh_only=refresh_only, unattended=unattended, targets=tuple(target),
        excludes=tuple(exclude), replace=tuple(replace), changed=_changed(opened, changed_since), parallelism=parallelism,
    )  # fmt: skip
    made = use_cases.plan(opened, options)
    show_plan(made, opened, json, compact)
    code = use_cases.plan_exit_code(made, detailed_exitcode)
    if out is not None and code != 1:
        from mlplan.app import saved

        saved.save(opened, made, out)
        sys.stderr.write(f"Saved. Apply exactly this with: mlplan apply {out}\n")
    return code


def _untrusted(given: Settings, wanted: dict[str, Any], base: str | None) -> int:
    from mlplan.app import untrusted

    files = [path.resolve() for path in given.variable_files]
    outside = [path for path in files if not path.is_relative_to(given.root)]
    if outside:
        raise DiagnosticError(
            invalid(f"--var-file {outside[0]} is not in the project; a sandboxed plan sees the project alone.")
        )
    sys.stdout.flush()
    request = {
        **wanted, "variables": dict(given.variables), "workspace": given.workspace,
        "var_files": [str(path.relative_to(given.root)) for path in files],
    }  # fmt: skip
    return untrusted.plan(given.root, request, os.environ, base)


def _changed(opened: Project, revision: str | None) -> tuple[str, ...] | None:
    if revision is None:
        return None
    from mlplan.app.changed import changed_since

    return changed_since(opened, revision)


def apply(
    plan_file: Annotated[Path | None, typer.Argument(help="A saved plan; left out, apply plans and asks.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    auto_approve: AutoApprove = False, unattended: Unattended = False, no_wait: NoWait = False,
    refresh: Refresh = True, refresh_only: RefreshOnly = False, target: Target = [], exclude: Exclude = [],  # noqa: B006
    replace: Replace = [], changed_since: ChangedSince = None,  # noqa: B006
    lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10, json: Json = False, no_color: NoColor = False,
    compact: Compact = False,
    destroy: Annotated[bool, typer.Option("--destroy", help="Remove everything, as mlplan destroy does.")] = False,
    input: Input = True, compact_warnings: CompactWarnings = False,
) -> int:  # fmt: skip
    """Do what the plan says: check data, train, judge, deploy, shift traffic; stop or roll back when the evidence says so."""
    terminal.behave(json="lines" if json else "", compact_warnings=compact_warnings)
    refuse_foreign(os.environ, "apply")
    given = settings(chdir, var, var_file, workspace, no_color)
    picks = bool(destroy or target or exclude or replace or changed_since or refresh_only or not refresh)
    if plan_file is not None:
        if picks:
            raise DiagnosticError(
                invalid("A saved plan says what it does; options that select exclude it. Plan again.")
            )
        return _apply_saved(given, plan_file, not no_wait, parallelism, lock_timeout, json)
    if destroy and (refresh_only or replace):
        raise DiagnosticError(invalid("--destroy removes: it excludes --refresh-only and --replace."))
    opened = project(given)
    options = Options(
        destroy=destroy, refresh=refresh, refresh_only=refresh_only, unattended=unattended, targets=tuple(target), excludes=tuple(exclude),
        replace=tuple(replace), changed=_changed(opened, changed_since), wait=not no_wait, parallelism=parallelism,
    )  # fmt: skip
    return apply_plan(
        opened, options, None, Manner("apply", auto_approve or unattended, seconds(lock_timeout), json, compact, input)
    )


def _apply_saved(given: Settings, plan_file: Path, wait: bool, parallelism: int, lock_timeout: str, json: bool) -> int:
    from mlplan.app import saved as saved_plans

    saved = saved_plans.load(given, plan_file)
    opened = project(saved_plans.restored(given, saved))
    options = Options(
        destroy=saved.destroy, refresh_only=saved.refresh_only, unattended=saved.unattended, targets=saved.targets,
        excludes=saved.excludes, replace=saved.replace, wait=wait, parallelism=parallelism,
    )  # fmt: skip
    return apply_plan(opened, options, saved, Manner("apply", True, seconds(lock_timeout), json))


def destroy(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    auto_approve: AutoApprove = False, target: Target = [], exclude: Exclude = [],  # noqa: B006
    lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10, json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Stop serving and remove everything that apply made. Data and artifacts stay where they are."""
    refuse_foreign(os.environ, "destroy")
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(destroy=True, targets=tuple(target), excludes=tuple(exclude), parallelism=parallelism)
    return apply_plan(opened, options, None, Manner("destroy", auto_approve, seconds(lock_timeout), json))


def check(
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    target: Target = [], lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10,  # noqa: B006
    json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Run tests, contracts, training and gates without touching anything that serves; apply takes over what passed."""
    refuse_foreign(os.environ, "check")
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(targets=tuple(target), only_kinds=("data_contract", "model"), parallelism=parallelism)
    return apply_plan(opened, options, None, Manner("check", True, seconds(lock_timeout), json))
