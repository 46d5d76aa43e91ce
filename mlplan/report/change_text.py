"""One change of a plan for the terminal: sign and address, reasons, evidence, fields, gates that will decide, notes, steps."""

from __future__ import annotations

import re
import textwrap

from mlplan.engine.types import Action, Change
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.plots import histogram_lines, is_bars
from mlplan.report.safe import one_line, safe_text
from mlplan.report.style import Style
from mlplan.report.value_text import field_lines

SIGNS = {
    Action.ADD: ("+", "green"),
    Action.CHANGE: ("~", "yellow"),
    Action.RETRAIN: ("-/+", "magenta"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.REMOVE: ("-", "red"),
    Action.FORGET: ("x", "dim"),
    Action.MOVE: (">", "cyan"),
    Action.IMPORT: ("<-", "cyan"),
    Action.KEEP: (" ", "dim"),
}
LABEL = 20
INDENT = 6
_GATE = re.compile(r"gate (?P<name>\S+) \? (?P<asks>.*?)(?: \((?P<live>v\S+: .*)\))?", re.DOTALL)


def sign_of(change: Change) -> tuple[str, str]:
    """Return the sign of a change and its colour."""
    if change.breach:
        return "!", "red"
    if (change.surprises or change.blocked) and not change.steps:
        return "!", "yellow"
    return SIGNS[change.action]


def reason_text(change: Change) -> str:
    """Return why, on one line."""
    texts = [r.text for r in change.reasons]
    texts += [s for s in change.surprises if s not in texts]
    if change.importing is not None:
        texts.insert(0, f"will be imported: {change.importing}")
    if change.moved_from:
        texts.insert(0, f"was {change.moved_from}")
    return one_line("; ".join(texts), 10_000)


def change_lines(change: Change, style: Style, compact: bool) -> list[str]:
    """Return the lines of a change. compact: one."""
    sign, colour = sign_of(change)
    head = f"{style.paint(f'{sign:>3}', colour, 'bold')} {style.paint(one_line(change.address, 300), 'bold')}"
    title = reason_text(change)
    if compact:
        told = title or one_line(change.breach or "; ".join(evidence_text(e) for e in change.blocked), 1000)
        room = max(style.width - len(change.address) - 6, 20)
        return [f"{head}  {one_line(told, room)}".rstrip()]
    lines = [head, *labelled("because", title, style)] if title else [head]
    if change.breach and one_line(change.breach, 10_000) not in title:
        lines += labelled("! breach", change.breach, style)
    for item in change.blocked:
        lines += [*labelled("contract says no", evidence_text(item), style), *_histogram(item, style)]
    lines += _checks([e for e in change.evidence if e not in change.blocked], title, style)
    for field in change.fields:
        lines += field_lines(field, style, INDENT)
    lines += [line for question in change.questions for line in _question(question, style)]
    lines += [line for label, text in change.notes for line in labelled(label, text, style)]
    lines += [line for step in change.steps for line in labelled("step", step.summary, style, "dim")]
    return [*lines, ""]


def labelled(label: str, text: object, style: Style, colour: str = "") -> list[str]:
    """Return text beside a label, wrapped to the terminal; below it where the terminal is narrow."""
    shown = one_line(label, 60)
    lead = " " * INDENT
    painted = style.paint(shown, colour) if colour else shown
    if style.width < 72 or len(shown) > LABEL:
        room = max(style.width - INDENT - 4, 20)
        return [f"{lead}{painted}", *(f"{lead}  {line}" for line in _wrapped(text, room))]
    room = max(style.width - INDENT - LABEL - 1, 20)
    first, *others = _wrapped(text, room)
    blank = " " * (LABEL - len(shown))
    return [f"{lead}{painted}{blank} {first}".rstrip(), *(f"{lead}{' ' * LABEL} {line}" for line in others)]


def _wrapped(text: object, room: int) -> list[str]:
    return textwrap.wrap(one_line(text, 4000), room, break_on_hyphens=False) or [""]


def _question(question: str, style: Style) -> list[str]:
    match = _GATE.fullmatch(question)
    if match is None:
        return labelled("?", question, style)
    lines = labelled(f"? gate {match['name']}", match["asks"], style)
    if match["live"]:
        lines += labelled("  live", match["live"], style)
    return lines


def _checks(evidence: list[Evidence], told: str, style: Style) -> list[str]:
    if not evidence:
        return []
    passed = sum(e.verdict is Verdict.PASS for e in evidence)
    lines = labelled("evidence", f"{passed} of {len(evidence)} pass", style)
    for item in evidence:
        if item.verdict is not Verdict.PASS and one_line(evidence_text(item), 10_000) not in told:
            lines += labelled(f"{item.severity} {item.verdict}", evidence_text(item), style)
            lines += _histogram(item, style)
    return lines


def _histogram(evidence: Evidence, style: Style) -> list[str]:
    """Return the distributions of a column that drifted, small, below what is said of it."""
    bars = evidence.details.get("bars")
    lead = " " * (INDENT + (LABEL + 1 if style.width >= 72 else 2))
    return [lead + line for line in histogram_lines(bars, style)] if is_bars(bars) else []


def evidence_text(evidence: Evidence) -> str:
    """Return what evidence says, in words."""
    return evidence.message or evidence.question


def evidence_lines(evidence: list[Evidence] | tuple[Evidence, ...]) -> list[str]:
    """Return evidence one a line: verdict, subject, message."""
    return [f"  {e.verdict!s:<12} {safe_text(e.subject)}: {one_line(evidence_text(e), 400)}" for e in evidence]
