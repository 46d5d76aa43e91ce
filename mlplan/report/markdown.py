"""A plan as Markdown for a pull request: headline, verdict table, what changes where, what is next, details folded.

What a plan says may come from a fork: every text is hostile, and none of it is read as Markdown or HTML. Too long a comment loses
the full plan first, then the contracts, then the reasons; never the verdict table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlplan.engine.types import Action, Change, Plan
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.change_text import evidence_text
from mlplan.report.plan_text import groups, plan_text, summary
from mlplan.report.safe import cell, code, fence
from mlplan.report.style import Style
from mlplan.report.value_text import value_text

MARKER = "<!-- mlplan:{root}:{workspace} -->"
MOST = 60_000
"""Characters of a comment; GitHub takes 65,536."""
MOST_ROWS = 100
"""Of the verdict table and of the changes; what did not pass comes first, the rest is counted."""

_GATE = re.compile(r"gate (?P<name>\S+) \? (?P<asks>.*?)(?: \((?P<live>v\S+: .*)\))?", re.DOTALL)
_ORDER = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 4}
_UNDECIDED = 3


def plan_markdown(plan: Plan, root: str = ".", command: str = "mlplan apply") -> str:
    """Return the comment. root: names the folder of the files. command: what carries this plan out."""
    place = f"{code(root)}, workspace {code(plan.workspace)}"
    head = [marker(root, plan.workspace), f"### mlplan: {headline(plan)}", "", place, ""]
    fixed = [*head, *_verdicts(plan), *_changes(plan), *_next(plan, command)]
    folded = [
        _folded("Reasons and fields", _reasons(plan)),
        _folded("Contracts and evidence", _evidence(plan)),
        _folded("Full plan", [fence(plan_text(plan, Style(width=110)), "text")]),
    ]
    for kept in range(len(folded), -1, -1):
        lines = [*fixed, *(line for part in folded[:kept] for line in part)]
        if kept < len(folded):
            lines += ["", "Details are left out here; `mlplan show` has all of them."]
        text = "\n".join(lines) + "\n"
        if len(text) <= MOST:
            return text
    return _cut("\n".join(fixed))


def marker(root: str, workspace: str) -> str:
    """Return the hidden mark by which a comment is found again: one a root and workspace."""
    clean = (re.sub(r"[^\w./ -]|--+", "_", name) for name in (root, workspace))
    return MARKER.format(root=next(clean), workspace=next(clean))


def headline(plan: Plan) -> str:
    """Return what matters most, in words."""
    if any(d.is_error for d in plan.diagnostics):
        return "the plan has errors"
    moved, edited, held = groups(plan)
    parts = []
    if refused := sum(bool(c.blocked) for c in plan.changes):
        parts.append(f"{_counted(refused, 'contract')} {'says' if refused == 1 else 'say'} no")
    if breaches := sum(bool(c.breach) for c in plan.changes):
        parts.append(f"{breaches} breach{'es' if breaches != 1 else ''}")
    words = (
        (Action.IMPORT, "to import"), (Action.RETRAIN, "to retrain"), (Action.ADD, "to add"), (Action.CHANGE, "to change"),
        (Action.REPLACE, "to replace"),
        (Action.REMOVE, "to remove"), (Action.MOVE, "to move"), (Action.FORGET, "to forget"),
    )  # fmt: skip
    changing = [c for c in (*moved, *edited) if c.steps or c.moved_from]
    parts += [f"{n} {text}" for action, text in words if (n := sum(c.action is action for c in changing))]
    if gates := sum(len(c.questions) for c in changing):
        parts.append(f"{_counted(gates, 'gate')} will decide")
    if held:
        parts.append(f"{len(held)} held")
    return ", ".join(parts) or "no changes"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _verdicts(plan: Plan) -> list[str]:
    rows: dict[str, int] = {}
    for change in plan.changes:
        for item in (*change.blocked, *change.evidence):
            if change.steps or change.breach or change.blocked:
                rows.setdefault(_row(item), _ORDER[item.verdict])
        for question in change.questions:
            rows.setdefault(_question_row(change, question), _UNDECIDED)
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: rows[row])
    more = [f"| and {len(ordered) - MOST_ROWS} more | | | | | | |"] if len(ordered) > MOST_ROWS else []
    head = ["| rule | wants | live | measured | interval | n | verdict |", "|---|---|---|---|---|---|---|"]
    return [*head, *ordered[:MOST_ROWS], *more, ""]


def _row(evidence: Evidence) -> str:
    measured = _number(evidence.estimate) if evidence.estimate is not None else ""
    interval = ", ".join(map(_number, evidence.interval)) if evidence.interval is not None else ""
    n = f"{evidence.n:,}" if evidence.n is not None else ""
    warn = " (warning)" if evidence.severity == "warn" and evidence.verdict is not Verdict.PASS else ""
    shown = f"[{interval}]" if interval else ""
    return (
        f"| {code(evidence.subject, 120)} | {cell(evidence.question, 160)} | | {measured} | {cell(shown)} | {n} "
        f"| **{evidence.verdict}**{warn} |"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _question_row(change: Change, question: str) -> str:
    match = _GATE.fullmatch(question)
    if match is None:
        return f"| {code(change.address, 120)} | {cell(question)} | | | | | decided during apply |"
    name = f"{change.address}.gate.{match['name']}"
    return f"| {code(name, 120)} | {cell(match['asks'], 160)} | {cell(match['live'] or '', 160)} | | | | decided during apply |"


def _changes(plan: Plan) -> list[str]:
    moved, edited, held = groups(plan)
    shown = list({c.address: c for c in (*moved, *edited, *held)}.values())
    if not shown:
        return []
    lines = ["| what | action | because |", "|---|---|---|", *(_line(c) for c in shown[:MOST_ROWS])]
    if len(shown) > MOST_ROWS:
        lines.append(f"| and {len(shown) - MOST_ROWS} more | | |")
    return [*lines, ""]


def _line(change: Change) -> str:
    texts = [r.text for r in change.reasons]
    if change.moved_from:
        texts.insert(0, f"was {change.moved_from}")
    texts += [s for s in change.surprises if s not in texts]
    reason = change.breach or change.held or "; ".join(texts) or "; ".join(map(evidence_text, change.blocked))
    action = (
        "breach"
        if change.breach and not change.steps
        else "held"
        if change.held
        else "says no"
        if change.blocked
        else str(change.action)
    )
    return f"| {code(change.address)} | {action} | {cell(reason, 300)} |"


def _next(plan: Plan, command: str) -> list[str]:
    lines = [cell(summary(plan), 1000), ""]
    if any(d.is_error for d in plan.diagnostics):
        lines += [f"**{cell(d.summary)}**: {cell(d.detail, 600)}" for d in plan.diagnostics if d.is_error][:10]
        return [*lines, "", "Mend this and plan again."]
    if plan.is_empty:
        return [*lines, "Nothing to apply."]
    waits = [text for c in plan.changes for label, text in c.notes if label == "waits for"]
    for text in dict.fromkeys(waits):
        lines += [f"Waits for: {cell(text, 300)}", ""]
    return [*lines, "Next:", "", fence(command, "sh")]


def _reasons(plan: Plan) -> list[str]:
    moved, edited, _ = groups(plan)
    lines: list[str] = []
    for change in (*moved, *edited):
        lines.append(f"- {code(change.address)} ({change.action})")
        lines += [f"  - {cell(r.text, 400)}" for r in change.reasons]
        lines += [
            f"  - {code(f.name, 60)}: {code(value_text(f.before, 120))} → {code(value_text(f.after, 120))}"
            for f in change.fields
        ]
        lines += [f"  - {cell(label)}: {cell(text, 300)}" for label, text in change.notes]
    return lines


def _evidence(plan: Plan) -> list[str]:
    found = {e: None for c in plan.changes for e in map(_evidence_line, (*c.blocked, *c.evidence))}
    return list(found)


def _evidence_line(evidence: Evidence) -> str:
    return f"- **{evidence.verdict}** {code(evidence.subject, 120)}: {cell(evidence_text(evidence), 400)}"


def _folded(title: str, body: Iterable[str]) -> list[str]:
    lines = list(body)
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"] if lines else []


def _cut(text: str) -> str:
    """Return text within the limit, ended at a whole line."""
    return text[: MOST - 40].rpartition("\n")[0] + "\n\nMore is left out here.\n"
