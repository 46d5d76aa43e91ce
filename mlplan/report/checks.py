"""The checks of data contracts for people: every failure at once, with counts, examples and who answers for the data."""

from __future__ import annotations

from collections.abc import Iterable

from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.safe import cell, one_line
from mlplan.report.style import Style

_SIGNS = {Verdict.PASS: "ok", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open", Verdict.ERROR: "ERROR"}
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow", Verdict.ERROR: "red"}


def checks_text(title: str, evidence: Iterable[Evidence], style: Style, *, every: bool = False) -> str:
    """Return a heading and a line a check. every: those that pass as well."""
    found = list(evidence)
    lines = [style.paint(one_line(title, 300), "bold")]
    for item in found:
        if every or item.verdict is not Verdict.PASS:
            warns = item.severity == "warn" and item.verdict is not Verdict.PASS
            sign = "warn" if warns else _SIGNS[item.verdict]
            lines.append(f"  {style.paint(f'{sign:<5}', 'yellow' if warns else _COLOURS[item.verdict])} {_said(item)}")
    passed = sum(item.verdict is Verdict.PASS for item in found)
    lines.append(f"  {passed} of {len(found)} checks pass.")
    return style.plain("\n".join(lines)) + "\n"


def checks_markdown(title: str, evidence: Iterable[Evidence]) -> str:
    """Return a Markdown table of what did not pass, and the count."""
    found = list(evidence)
    bad = [item for item in found if item.verdict is not Verdict.PASS]
    lines = [f"### {cell(title, 300)}", "", f"{len(found) - len(bad)} of {len(found)} checks pass.", ""]
    if bad:
        lines += ["| check | verdict | what |", "|---|---|---|"]
        lines += [
            f"| {cell(i.subject)} | {i.verdict}{' (warn)' if i.severity == 'warn' else ''} | {cell(_said(i), 600)} |"
            for i in bad
        ]
    return "\n".join(lines) + "\n"


def _said(item: Evidence) -> str:
    return one_line(item.message or item.question, 600)
