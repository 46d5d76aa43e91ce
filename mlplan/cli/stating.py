"""Commands around the state itself: state list, show, mv, rm, pull, push, history, rollback, diff, repair; history; force-unlock.

Reason for its size: twelve commands, each a signature with its help and a few lines; what they share would be torn apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlplan.app import memory as use_cases
from mlplan.cli import errors
from mlplan.cli.catalogue import add
from mlplan.cli.completing import decided
from mlplan.cli.options import (
    AutoApprove,
    Chdir,
    Json,
    LockTimeout,
    NoColor,
    Var,
    VarFile,
    Workspace,
    seconds,
    settings,
)
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.repair import Report
from mlplan.ledger.rewrite import Difference, diff
from mlplan.report.safe import one_line

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    add(
        parent, history,
        examples="""
        mlplan history
        mlplan history fraud@production --at 2026-01-31
        mlplan history --all --json
        """,
    )  # fmt: skip
    add(parent, force_unlock, examples="mlplan force-unlock 3f9c1d2e4b5a --reason 'the runner was shut down'")
    application = typer.Typer(
        help="Look into the state, and change what mlplan remembers. None of these commands touches anything that runs.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, (command, examples) in COMMANDS.items():
        add(application, command, name, examples=examples)
    parent.add_typer(application, name="state")


def memory(
    chdir: Path,
    workspace: str,
    var: list[str] | None = None,
    var_file: list[Path] | None = None,
    no_color: bool = False,
) -> use_cases.Memory:
    """Return the state of the project; mistakes in its files are shown, and do not stand in the way."""
    opened = use_cases.open_memory(settings(chdir, var, var_file, workspace, no_color))
    if opened.problems:
        errors.show(opened.problems)
        sys.stderr.write("The files have mistakes; the state can be used all the same.\n\n")
    return opened


def history(
    name: Annotated[str | None, typer.Argument(help="An address, or flights@production.", autocompletion=decided)] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
    at: Annotated[str | None, typer.Option("--at", help="Only up to this moment, as 2026-01-31 or with a time.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="From the very first line on, not only the newest.")] = False,
) -> int:  # fmt: skip
    """Tell what was done and decided, by whom and why, newest last; check that no line was altered or taken out."""
    from mlplan.app import explain as explaining
    from mlplan.ledger import audit
    from mlplan.report.json_text import dumps

    opened = memory(chdir, workspace, var, var_file)
    state = opened.read()
    verified = audit.verify(opened.store, state)
    found = explaining.happenings(state, name, at, verified.lines if everything else None)
    if json:
        sys.stdout.write(dumps([explaining.happening_json(h) for h in found]) + "\n")
    else:
        sys.stdout.writelines(explaining.happening_text(line) + "\n" for line in found)
        if verified.problem is None:
            sys.stderr.write(f"The audit log is whole: {len(verified.lines)} lines, each follows the one before.\n")
    if verified.problem is not None:
        detail = (
            f"{verified.problem}. What is shown is what is there now; compare with a kept copy (mlplan state history)."
        )
        errors.show((Diagnostic("audit-broken", "The audit log is not whole", detail),))
        return 1
    return 0


def force_unlock(
    run: Annotated[str | None, typer.Argument(help="The run that holds the lock, as the message names it.")] = None,
    reason: Reason = "", auto_approve: AutoApprove = False,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Take the lock from a run that hangs and will not come back; whatever it still tries to write is refused."""
    opened = memory(chdir, workspace, var, var_file)
    opened.refuse_uninitialised()
    holder = opened.store.holder()
    if holder is None:
        sys.stderr.write("Nobody holds the lock; nothing to do.\n")
        return 0
    if run is not None and run != holder.run:
        detail = (
            f"The lock is held by run {holder.run} ({holder.who} on {holder.host}), not by {run}. Nothing was changed."
        )
        raise DiagnosticError(Diagnostic("state-refused", "Another run holds the lock", detail))
    since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    sys.stderr.write(
        f"{holder.who} holds the lock on {holder.host} (process {holder.pid}) since {since}, for {holder.operation}, "
        f"run {holder.run}.\nIf it still works, it will break off and be taken up by the next apply.\n"
    )
    if not confirmed("Take the lock away?", auto_approve):
        return 1
    taken = use_cases.unlock(opened, reason)
    sys.stderr.write(
        f"Taken from {taken.who} on {taken.host} (run {taken.run}). Next: mlplan apply\n"
        if taken
        else "It was given back meanwhile.\n"
    )
    return 0


def state_list(
    names: Annotated[list[str] | None, typer.Argument(help="Only at and below these addresses.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
) -> int:  # fmt: skip
    """List the addresses that the state remembers."""
    from mlplan.report.json_text import dumps

    state = memory(chdir, workspace, var, var_file).read()
    found = use_cases.addresses(state, names or [])
    if json:
        records = [state.records[a] for a in found]
        document = [{"address": r.address, "kind": r.kind, "status": r.status} for r in records]
        sys.stdout.write(dumps(document) + "\n")
    else:
        sys.stdout.writelines(f"{a}{' (tainted)' if state.records[a].status == 'tainted' else ''}\n" for a in found)
    return 0


def state_show(
    name: Annotated[str, typer.Argument(help="An address, or flights@production.", autocompletion=decided)],
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Show everything that the state remembers of one address."""
    from mlplan.app.decide import resolve_address
    from mlplan.app.explain import record_lines
    from mlplan.report.json_text import dumps, state_json

    state = memory(chdir, workspace, var, var_file, no_color).read()
    address = resolve_address(name, state)
    if json:
        record = next(r for r in state_json(state)["records"] if r["address"] == address)
        sys.stdout.write(dumps(record) + "\n")
        return 0
    sys.stdout.write("\n".join(record_lines(state.records[address])) + "\n")
    return 0


def state_mv(
    source: Annotated[str, typer.Argument(help="The address as it is, with all that is below it.")],
    target: Annotated[str, typer.Argument(help="The address it gets.")],
    dry_run: DryRun = False, lock_timeout: LockTimeout = "0s",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Give what is remembered another address, after you renamed a block. In files, a `moved` block does the same."""
    opened = memory(chdir, workspace, var, var_file)
    moves = use_cases.move(opened, source, target, seconds(lock_timeout), dry_run=dry_run)
    sys.stdout.writelines(f"{old} -> {new}\n" for old, new in moves.items())
    sys.stderr.write(f"{'Would move' if dry_run else 'Moved'} {len(moves)}.\n")
    return 0


def state_rm(
    names: Annotated[list[str], typer.Argument(help="What to forget, with all that is below it.")],
    dry_run: DryRun = False, auto_approve: AutoApprove = False, lock_timeout: LockTimeout = "0s",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Forget addresses without touching what they stand for: servers go on, and mlplan will not manage them any more."""

    def confirm(found: list[str]) -> bool:
        sys.stdout.writelines(f"{address}\n" for address in found)
        return confirmed(f"Forget {len(found)}? What they stand for stays as it is.", auto_approve)

    opened = memory(chdir, workspace, var, var_file)
    found = use_cases.forget(opened, names, seconds(lock_timeout), confirm, dry_run=dry_run)
    if dry_run:
        sys.stdout.writelines(f"{address}\n" for address in found)
    sys.stderr.write(f"{'Would forget' if dry_run else 'Forgot'} {len(found)}.\n")
    return 0 if found or dry_run else 1


def state_pull(
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; stdout when left out.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Write the present state as one sealed document."""
    document = use_cases.pull(memory(chdir, workspace, var, var_file))
    if out is None:
        sys.stdout.buffer.write(document)
        sys.stdout.flush()
        return 0
    try:
        out.touch(mode=0o600)
        out.write_bytes(document)
    except OSError as error:
        raise _unusable(f"{out} cannot be written: {error.strerror}.") from error
    return 0


def state_push(
    path: Annotated[Path, typer.Argument(help='A document of "mlplan state pull", or a rescue file; "-" reads it from stdin.')],
    force: Annotated[
        bool, typer.Option("--force", help="Take it even if it is older, edited, or of another state.")
    ] = False,
    auto_approve: AutoApprove = False, lock_timeout: LockTimeout = "0s",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Make a document the present state. Lineage, serial and seal are checked; what is replaced stays in the history."""
    from mlplan.ledger.rescue import SUFFIX, is_rescue

    try:
        document = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}.") from error
    opened = memory(chdir, workspace, var, var_file)
    if is_rescue(document):
        brought = use_cases.bring_in(opened, document, seconds(lock_timeout))
        if path.suffix == SUFFIX:
            path.rename(path.with_suffix(".pushed"))
        for address, kind, why in brought.skipped:
            sys.stderr.write(f"Left out: {kind} of {address or 'the run'}: {why}.\n")
        sys.stderr.write(f"Taken in: {brought.taken} entries of a run that could not write them. Next: mlplan plan\n")
        return 0
    if force and not confirmed("Push without the checks? What is there now stays in the history.", auto_approve):
        return 1
    state = use_cases.push(opened, document, seconds(lock_timeout), force=force)
    sys.stderr.write(f"Pushed: serial {state.serial}, {len(state.records)} records. Next: mlplan plan\n")
    return 0


def state_history(
    pin: Annotated[str | None, typer.Option("--pin", help="Keep this snapshot for ever: its key or serial.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
) -> int:  # fmt: skip
    """List the kept snapshots of the state, newest first: the 50 newest, one a day for 90 days, and all that are pinned."""
    from dataclasses import asdict

    from mlplan.report.json_text import dumps

    opened = memory(chdir, workspace, var, var_file)
    if pin is not None:
        sys.stderr.write(f"{use_cases.pin(opened, pin)} is kept for ever.\n")
        return 0
    found = use_cases.snapshots(opened)
    if json:
        sys.stdout.write(dumps([asdict(s) for s in found]) + "\n")
        return 0
    for s in found:
        moment = datetime.fromtimestamp(s.at, UTC).strftime("%Y-%m-%d %H:%M:%S") if s.at is not None else " " * 19
        words = f"unreadable: {s.reason}" if s.reason else f"{s.records} records  {one_line(s.last, 80)}"
        sys.stdout.write(f"{s.serial:>6}  {s.key:<28}  {moment}  {words}{'  (pinned)' if s.pinned else ''}\n")
    return 0


def state_rollback(
    snapshot: Annotated[str, typer.Argument(help="The serial or key of a kept snapshot (mlplan state history).")],
    reason: Reason = "", dry_run: DryRun = False, auto_approve: AutoApprove = False, lock_timeout: LockTimeout = "0s",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Make a kept snapshot the present state again. The next plan shows what this means for the world."""
    opened = memory(chdir, workspace, var, var_file)
    past, present = use_cases.state_at(opened, snapshot), opened.read()
    _show_differences(diff(present, past))
    if dry_run:
        return 0
    if not confirmed(f"Go back to serial {past.serial}?", auto_approve):
        return 1
    state = use_cases.rollback(opened, snapshot, reason, seconds(lock_timeout))
    sys.stderr.write(f"Serial {past.serial} is back, as serial {state.serial}. Next: mlplan plan\n")
    return 0


def state_diff(
    older: Annotated[str | None, typer.Argument(help="Serial or key; the snapshot before the present one.")] = None,
    newer: Annotated[str | None, typer.Argument(help="Serial or key; the present state.")] = None,
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "", json: Json = False,  # noqa: B006
) -> int:  # fmt: skip
    """Show how two snapshots differ."""
    from dataclasses import asdict

    from mlplan.report.json_text import dumps

    opened = memory(chdir, workspace, var, var_file)
    opened.refuse_uninitialised()
    found = diff(use_cases.state_at(opened, older or use_cases.before(opened)), use_cases.state_at(opened, newer))
    if json:
        sys.stdout.write(dumps([asdict(d) for d in found]) + "\n")
    else:
        _show_differences(found)
    return 0


def state_repair(
    restore: Annotated[
        str | None, typer.Option("--restore", help="Put this snapshot of the history back: its key or serial.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take the file as it was edited by hand.")] = False,
    auto_approve: AutoApprove = False, lock_timeout: LockTimeout = "0s",
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
) -> int:  # fmt: skip
    """Show what is wrong with a damaged state and the ways out; with an option, take one. Nothing is thrown away."""
    opened = memory(chdir, workspace, var, var_file)
    if restore is not None and accept:
        raise _unusable("--restore and --accept are two ways out; choose one.")
    if restore is None and not accept:
        return _show_damage(use_cases.inspect(opened))
    what = f"Put snapshot {restore} back?" if restore is not None else "Take the file as it was edited?"
    if not confirmed(what, auto_approve):
        return 1
    wait = seconds(lock_timeout)
    done = use_cases.restore(opened, restore, wait) if restore is not None else use_cases.accept(opened, wait)
    lost = f" {done.lost} damaged lines of the journal were set aside." if done.lost else ""
    sys.stderr.write(
        f"Mended: serial {done.state.serial}, {len(done.state.records)} records.{lost} Next: mlplan plan\n"
    )
    return 0


def _show_damage(report: Report) -> int:
    if report.damage is None:
        sys.stdout.write("Nothing is wrong with the state.\n")
        return 0
    sys.stdout.write(report.damage + "\n\nGood snapshots, newest first:\n\n")
    good = [kept for kept in report.kept if kept.reason is None]
    for kept in good:
        after = f", and {kept.entries} journal entries after it" if kept.entries else ""
        sys.stdout.write(f"  {kept.key}  {kept.records} records{after}\n")
    if not good:
        sys.stdout.write("  none\n")
    for kept in report.kept:
        if kept.reason is not None:
            sys.stdout.write(f"  {kept.key}  cannot be used: {kept.reason}\n")
    edited = "can be accepted" if report.not_editable is None else "cannot be accepted"
    sys.stdout.write(f"\nThe file as it stands {edited}.\n")
    return 1


def _show_differences(found: Iterable[Difference]) -> None:
    from mlplan.report.plan_text import value_text

    shown = False
    for difference in found:
        shown = True
        sys.stdout.write(f"{difference.sign} {difference.address}\n")
        for name, (old, new) in difference.fields.items():
            words = {"+": value_text(new), "-": value_text(old)}.get(
                difference.sign, f"{value_text(old)} -> {value_text(new)}"
            )
            sys.stdout.write(f"    {name:<14} {one_line(words, 160)}\n")
    if not shown:
        sys.stdout.write("No differences.\n")


def confirmed(question: str, sure: bool) -> bool:
    """Ask for a "yes" unless --auto-approve was given. Raises: DiagnosticError where nobody can be asked."""
    if sure:
        return True
    if not sys.stdin.isatty():
        detail = "Nobody can be asked here. If you are sure, run the command again with --auto-approve."
        raise DiagnosticError(Diagnostic("not-confirmed", "This needs a confirmation", detail))
    sys.stderr.write(f'{question} Only "yes" is taken as yes: ')
    sys.stderr.flush()
    answer = sys.stdin.readline().strip() == "yes"
    if not answer:
        sys.stderr.write("Not confirmed; nothing was changed.\n")
    return answer


def _unusable(detail: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("invalid-option", "An option cannot be used", detail))


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "list": (state_list, "mlplan state list\nmlplan state list model.fraud"),
    "show": (state_show, "mlplan state show fraud@production"),
    "mv": (state_mv, "mlplan state mv model.fraud model.card_fraud --dry-run"),
    "rm": (state_rm, "mlplan state rm environment.old"),
    "pull": (state_pull, "mlplan state pull --out state.json"),
    "push": (state_push, "mlplan state push state.json"),
    "history": (state_history, "mlplan state history\nmlplan state history --pin 12"),
    "rollback": (state_rollback, "mlplan state rollback 12 --reason 'wrong branch applied'"),
    "diff": (state_diff, "mlplan state diff\nmlplan state diff 12 15"),
    "repair": (state_repair, "mlplan state repair\nmlplan state repair --restore 12-0123456789abcdef"),
}
