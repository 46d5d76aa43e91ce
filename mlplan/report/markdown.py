"""A plan as Markdown for a pull request: headline, verdict table, what changes, details folded. A plan from outside is hostile text."""

from __future__ import annotations

from mlplan.engine.types import Change, Plan
from mlplan.ledger.evidence import Evidence
from mlplan.report.plan_text import plan_text, summary
from mlplan.report.safe import cell, fence
from mlplan.report.style import Style

MARKER = "<!-- mlplan:{root}:{workspace} -->"
MOST = 60_000
"""Characters of a comment; GitHub takes 65,536."""


def plan_markdown(plan: Plan, root: str = ".") -> str:
    """Return the comment. Too long, it loses the full plan first, then the reasons; the verdict table never."""
    head = [
        MARKER.format(root=root.replace("--", ""), workspace=plan.workspace),
        f"### mlplan: {cell(_headline(plan))}",
        "",
    ]
    table = _verdicts(plan)
    changes = _changes(plan)
    tail = ["", cell(summary(plan), 1000), "", "Next: `mlplan apply`" if not plan.is_empty else "Nothing to apply."]
    full = _folded("Full plan", fence(plan_text(plan, Style(width=110)), "text"))
    for parts in ((table, changes, tail, full), (table, changes, tail), (table, tail)):
        text = "\n".join([*head, *(line for part in parts for line in part)]) + "\n"
        if len(text) <= MOST:
            return text
    return text[: MOST - 20] + "\n…\n"


def _headline(plan: Plan) -> str:
    if any(c.blocked for c in plan.changes):
        return "a contract says no"
    if plan.is_empty:
        return "no changes"
    retrains = sum(str(c.action) == "retrain" for c in plan.changes)
    changed = sum(bool(c.steps) for c in plan.changes)
    return f"{changed} changes" + (f", {retrains} to retrain" if retrains else "")


def _verdicts(plan: Plan) -> list[str]:
    rows = []
    for change in plan.changes:
        rows += [_row(evidence) for evidence in (*change.blocked, *change.evidence[:30]) if change.steps]
        rows += [
            f"| {cell(change.address)} | {cell(question)} | | | decided during apply |" for question in change.questions
        ]
    unique = list(dict.fromkeys(rows))
    if not unique:
        return []
    return ["| subject | wants | measured | n | verdict |", "|---|---|---|---|---|", *unique, ""]


def _row(evidence: Evidence) -> str:
    measured = ""
    if evidence.estimate is not None:
        measured = f"{evidence.estimate:.4g}"
        if evidence.interval is not None:
            measured += f" [{evidence.interval[0]:.4g}, {evidence.interval[1]:.4g}]"
    n = f"{evidence.n:,}" if evidence.n is not None else ""
    return f"| {cell(evidence.subject)} | {cell(evidence.question)} | {measured} | {n} | **{evidence.verdict}** |"


def _changes(plan: Plan) -> list[str]:
    shown = [c for c in plan.changes if c.steps or c.held or c.breach]
    if not shown:
        return []
    return ["| what | action | because |", "|---|---|---|", *(_line(c) for c in shown), ""]


def _line(change: Change) -> str:
    reason = change.breach or change.held or "; ".join(r.text for r in change.reasons)
    return f"| {cell(change.address)} | {change.action} | {cell(reason, 300)} |"


def _folded(title: str, body: str) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", body, "", "</details>"]
