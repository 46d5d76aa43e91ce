"""A plan for the terminal: what moved in the world, what changed in the files, what is held; reasons before fields."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import orjson

from mlplan.engine.plain import plain
from mlplan.engine.types import Action, Cause, Change, FieldChange, OutputChange, Plan
from mlplan.lang.values import Unknown
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.safe import one_line, safe_text
from mlplan.report.style import Style

SIGNS = {
    Action.ADD: ("+", "green"),
    Action.CHANGE: ("~", "yellow"),
    Action.RETRAIN: ("-/+", "magenta"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.REMOVE: ("-", "red"),
    Action.FORGET: ("x", "dim"),
    Action.MOVE: (">", "cyan"),
    Action.KEEP: (" ", "dim"),
}
LEGEND = "Legend: + add   ~ change   -/+ retrain or replace   - remove   ? gates decide during apply   ! breach"
LABEL = 24


def plan_text(plan: Plan, style: Style, *, compact: bool = False) -> str:
    """Return the whole plan. compact: one line a change."""
    moved = [c for c in plan.changes if _shown(c) and c.cause is Cause.WORLD and c.action is not Action.REMOVE]
    breached = [c for c in plan.changes if c.breach and c not in moved]
    edited = [c for c in plan.changes if _shown(c) and c not in moved]
    held = [c for c in plan.changes if c.held]
    out: list[str] = []
    if moved or edited or breached:
        out += [style.paint(LEGEND, "dim"), ""]
    if plan.pending:
        out += _pending(plan, style)
    if moved or breached:
        out += [style.paint("Moved since the last apply (nobody edited these files)", "bold"), ""]
        out += [line for c in (*breached, *moved) for line in _change(c, style, compact)]
        out.append("")
    if edited:
        out += [style.paint("To be destroyed" if plan.destroy else "Changed in your files", "bold"), ""]
        out += [line for c in edited for line in _change(c, style, compact)]
        out.append("")
    if held:
        out += [style.paint("Held", "bold"), ""]
        out += [f"  {c.address}: {one_line(c.held, 400)}" for c in held]
        out.append("")
    out += _notes(plan, (*moved, *edited, *breached))
    out += _outputs(plan.output_changes, style)
    out += [f"Left: {one_line(left, 300)}" for left in plan.left]
    out.append(summary(plan))
    return style.plain("\n".join(out)) + "\n"


def _shown(change: Change) -> bool:
    return bool(change.steps) or change.moved_from is not None


def summary(plan: Plan) -> str:
    """Return the last line."""
    if plan.is_empty and not any(c.moved_from for c in plan.changes):
        breaches = sum(1 for c in plan.changes if c.breach)
        tail = (
            f" {breaches} breach{'es' if breaches != 1 else ''} stand{'' if breaches != 1 else 's'}."
            if breaches
            else ""
        )
        return f"No changes. What runs is what the files say.{tail}"
    done = [c.action for c in plan.changes if c.steps]
    count = {action: done.count(action) for action in Action}
    changed = count[Action.CHANGE] + count[Action.MOVE]
    gates = sum(len(c.questions) for c in plan.changes if c.steps)
    breaches = sum(1 for c in plan.changes if c.breach)
    hand = sum(1 for c in plan.changes if any(s.action == "repair" for s in c.steps))
    refused = sum(1 for c in plan.changes if c.blocked)
    text = (
        f"Plan: {count[Action.ADD]} to add, {changed} to change, {count[Action.RETRAIN] + count[Action.REPLACE]} to retrain, "
        f"{count[Action.REMOVE]} to remove."
    )
    parts = [
        (gates, f" {gates} gate{'s' if gates != 1 else ''} will decide."),
        (refused, f" {refused} contract{'s say' if refused != 1 else ' says'} no."),
        (
            breaches or hand,
            f" {breaches} breach{'es' if breaches != 1 else ''}, {hand} hand change{'s' if hand != 1 else ''}.",
        ),
    ]
    return text + "".join(words for wanted, words in parts if wanted)


def _change(change: Change, style: Style, compact: bool) -> list[str]:
    sign, colour = ("!", "red") if change.breach and not change.steps else SIGNS[change.action]
    head = f"{style.paint(f'{sign:>3}', colour, 'bold')} {style.paint(change.address, 'bold')}"
    title = one_line("; ".join(r.text for r in change.reasons), 10_000)
    if change.moved_from:
        title = f"was {change.moved_from}" + (f"; {title}" if title else "")
    if compact:
        return [f"{head}  {title}"]
    lines = [head, *_labelled("because", title, style)] if title else [head]
    if change.breach:
        lines += _labelled("! breach", change.breach, style)
    lines += [line for e in change.blocked for line in _labelled("contract says no", _evidence(e), style)]
    checked = [e for e in change.evidence if e not in change.blocked]
    lines += _checks(checked, style) if change.kind == "data_contract" else []
    lines += [line for field in change.fields for line in _field(field, style)]
    lines += [f"        {one_line(question, 400)}" for question in change.questions]
    lines += [line for label, text in change.notes for line in _labelled(label, text, style)]
    lines += [f"        {style.paint('step', 'dim')} {one_line(step.summary, 300)}" for step in change.steps]
    return [*lines, ""]


def _labelled(label: str, text: object, style: Style) -> list[str]:
    room = max(style.width - LABEL - 6, 40)
    wrapped = textwrap.wrap(one_line(text, 2000), room) or [""]
    first = f"      {label:<{LABEL - 4}} {wrapped[0]}"
    return [first, *(f"      {'':<{LABEL - 4}} {line}" for line in wrapped[1:])]


def _checks(evidence: list[Evidence], style: Style) -> list[str]:
    if not evidence:
        return []
    passed = sum(e.verdict is Verdict.PASS for e in evidence)
    lines = _labelled("checks", f"{passed} of {len(evidence)} pass", style)
    for item in evidence:
        if item.verdict is not Verdict.PASS:
            lines += _labelled(f"{item.severity} {item.verdict}", _evidence(item), style)
    return lines


def _evidence(evidence: Evidence) -> str:
    return evidence.message or evidence.question


def _field(field: FieldChange, style: Style) -> list[str]:
    before, after = value_text(field.before), value_text(field.after)
    if field.before is None:
        return [f"      {style.paint('+', 'green')} {field.name:<{LABEL - 6}} {after}"]
    return [f"      {style.paint('~', 'yellow')} {field.name:<{LABEL - 6}} {before} -> {after}"]


def value_text(value: Any) -> str:
    """Return a value as shown in plans: unknown ones with their origin."""
    if isinstance(value, Unknown):
        return f"({value.origin or 'known after apply'})"
    if isinstance(value, str):
        return one_line(value, 200)
    return one_line(orjson.dumps(plain(value)).decode(), 200)


def _pending(plan: Plan, style: Style) -> list[str]:
    lines = [style.paint("Unfinished from an earlier run (apply takes it up or cleans it up)", "bold"), ""]
    lines += [f"  ? {o.address}: {o.action}, begun by run {o.run}" for o in plan.pending]
    return [*lines, ""]


def _notes(plan: Plan, shown: Iterable[Change]) -> list[str]:
    seen = {c.address for c in shown}
    lines = [
        f"Note: {c.address}: {label}: {one_line(text, 300)}"
        for c in plan.changes
        if c.address not in seen
        for label, text in c.notes
    ]
    return [*lines, ""] if lines else []


def _outputs(changes: Iterable[OutputChange], style: Style) -> list[str]:
    lines = []
    for change in changes:
        sign = "+" if change.before is None else "-" if change.after is None else "~"
        before = f"{value_text(change.before)} -> " if change.before is not None and change.after is not None else ""
        after = value_text(change.after) if change.after is not None else value_text(change.before)
        lines.append(f"  {sign} {change.name} = {before}{after}")
    return [style.paint("Outputs", "bold"), "", *lines, ""] if lines else []


def evidence_lines(evidence: Iterable[Evidence]) -> list[str]:
    """Return evidence one a line: verdict, subject, message."""
    return [f"  {e.verdict!s:<12} {safe_text(e.subject)}: {one_line(_evidence(e), 400)}" for e in evidence]
