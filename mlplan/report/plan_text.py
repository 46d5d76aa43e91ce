"""A plan for the terminal: what moved in the world, what changed in the files, what is held, outputs, what is left, the counts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from mlplan.engine.types import Action, Cause, Change, FieldChange, OutputChange, Plan
from mlplan.lang.values import Secret
from mlplan.report.change_text import change_lines, evidence_lines, labelled, reason_text
from mlplan.report.safe import one_line
from mlplan.report.style import Style
from mlplan.report.value_text import field_lines, value_text

LEGEND = "Legend: + add  ~ change  -/+ retrain or replace  - remove  ? gates decide during apply  ! breach"
RARE = {Action.MOVE: "> move", Action.IMPORT: "<- import", Action.FORGET: "x forget"}
"""Signs that the legend explains only where they are used."""
MOST_LEFT = 10

__all__ = ["evidence_lines", "groups", "plan_text", "reason_text", "summary", "value_text"]


def plan_text(plan: Plan, style: Style, *, compact: bool = False) -> str:
    """Return the whole plan. compact: one line a change."""
    moved, edited, held = groups(plan)
    out: list[str] = []
    if moved or edited:
        out += [*_legend({c.action for c in (*moved, *edited)}, style), ""]
    if plan.pending or plan.unswept:
        out += _pending(plan, style)
    for title, changes in (("Moved since the last apply (nobody edited these files)", moved), (_title(plan), edited)):
        if changes:
            out += [*_heading(title, style), ""]
            out += [line for change in changes for line in change_lines(change, style, compact)]
            out += [""] if compact else []
    if held:
        out += [style.paint("Held", "bold"), ""]
        for change in held:
            out += [f"    {one_line(change.address, 300)}", *labelled("held", change.held, style)]
        out.append("")
    out += _notes(plan, {c.address for c in (*moved, *edited)}, style)
    out += _outputs(plan.output_changes, style)
    out += _left(plan, style)
    out += textwrap.wrap(summary(plan), style.width) if style.width < 80 else [summary(plan)]
    return style.plain("\n".join(out)) + "\n"


def groups(plan: Plan) -> tuple[list[Change], list[Change], list[Change]]:
    """Return the changes that the world caused, breaches first; those that the files caused; those that are held."""
    moved: list[Change] = []
    edited: list[Change] = []
    for change in plan.changes:
        if change.breach or ((change.surprises or change.blocked) and not change.steps):
            moved.append(change)
        elif change.steps or change.moved_from is not None:
            world = change.cause is Cause.WORLD and change.action is not Action.REMOVE
            (moved if world else edited).append(change)
    moved.sort(key=lambda change: change.breach is None)
    return moved, edited, [change for change in plan.changes if change.held]


def _heading(text: str, style: Style) -> list[str]:
    return [style.paint(line, "bold") for line in textwrap.wrap(text, style.width)]


def _title(plan: Plan) -> str:
    return "To be destroyed" if plan.destroy else "Changed in your files"


def summary(plan: Plan) -> str:
    """Return the last line."""
    if any(d.is_error for d in plan.diagnostics):
        return "The plan has errors; nothing can be applied."
    if plan.refresh_only and not plan.is_empty:
        seen = sum(bool(c.steps) for c in plan.changes)
        return f"Plan: keep what the world says of {_counted(seen, 'address', 'es')}, and change nothing."
    if plan.is_empty and not any(c.moved_from for c in plan.changes):
        breaches = sum(1 for c in plan.changes if c.breach)
        stand = f" {_counted(breaches, 'breach', 'es')} stand{'' if breaches != 1 else 's'}." if breaches else ""
        if plan.refresh_only:
            return f"Nothing new in the world.{stand}"
        if plan.left:
            return f"No changes in what was selected.{stand}"
        return f"No changes. What runs is what the files say.{stand}"
    done = [c.action for c in plan.changes if c.steps or c.moved_from is not None]
    count = {action: done.count(action) for action in Action}
    gates = sum(len(c.questions) for c in plan.changes if c.steps)
    breaches = sum(1 for c in plan.changes if c.breach)
    hand = sum(1 for c in plan.changes if any(s.action == "repair" for s in c.steps))
    refused = sum(1 for c in plan.changes if c.blocked)
    imports = f"{count[Action.IMPORT]} to import, " if count[Action.IMPORT] else ""
    text = (
        f"Plan: {imports}{count[Action.ADD]} to add, {count[Action.CHANGE]} to change, {count[Action.RETRAIN]} to retrain, "
        f"{count[Action.REMOVE]} to remove"
    )
    more = ((Action.REPLACE, "to replace"), (Action.MOVE, "to move"), (Action.FORGET, "to forget"))
    text += "".join(f", {count[action]} {words}" for action, words in more if count[action]) + "."
    if gates:
        text += f" {_counted(gates, 'gate', 's')} will decide."
    if refused:
        text += f" {_counted(refused, 'contract', 's')} {'say' if refused != 1 else 'says'} no."
    if breaches or hand:
        text += f" {_counted(breaches, 'breach', 'es')}, {_counted(hand, 'hand change', 's')}."
    return text


def _counted(count: int, noun: str, many: str) -> str:
    return f"{count} {noun}{'' if count == 1 else many}"


def _legend(used: set[Action], style: Style) -> list[str]:
    legend = "  ".join([LEGEND, *(words for action, words in RARE.items() if action in used)])
    if len(legend) <= style.width:
        return [style.paint(legend, "dim")]
    lines, line = [], ""
    for part in legend.split("  "):
        if line and len(line) + len(part) + 2 > style.width:
            lines.append(line)
            line = "       "
        line += ("  " if line.strip() else " " if line else "") + part
    return [style.paint(text, "dim") for text in (*lines, line)]


def _pending(plan: Plan, style: Style) -> list[str]:
    lines = [*_heading("Unfinished from an earlier run (apply takes it up or cleans it up)", style), ""]
    lines += [
        f"  ? {one_line(o.address, 300)}: {one_line(o.action)}, begun by run {one_line(o.run)}" for o in plan.pending
    ]
    lines += [
        f"  ? run {one_line(run)} did not end, or was taken back: what it left in the world is searched for"
        for run in plan.unswept
    ]
    return [*lines, ""]


def _notes(plan: Plan, shown: set[str], style: Style) -> list[str]:
    lines = []
    for change in plan.changes:
        if change.address not in shown:
            for label, text in change.notes:
                lines += [f"Note: {one_line(change.address, 300)}", *labelled(label, text, style)]
    return [*lines, ""] if lines else []


def _outputs(changes: Iterable[OutputChange], style: Style) -> list[str]:
    lines = []
    for change in changes:
        before, after = change.before, change.after
        if change.sensitive:
            before, after = (Secret(None) if value is not None else None for value in (before, after))
        lines += field_lines(FieldChange(change.name, before, after), style, 2)
    return [style.paint("Outputs", "bold"), "", *lines, ""] if lines else []


def _left(plan: Plan, style: Style) -> list[str]:
    if not plan.left:
        return []
    lines = [style.paint("Left out", "bold"), ""]
    room = max(style.width - 6, 40)
    for text in plan.left[:MOST_LEFT]:
        first, *more = textwrap.wrap(one_line(text, 2000), room, break_on_hyphens=False) or [""]
        lines += [f"    {first}", *(f"      {line}" for line in more)]
    if len(plan.left) > MOST_LEFT:
        lines.append(f"    and {len(plan.left) - MOST_LEFT} more")
    return [*lines, ""]
