"""`evidence`: what was measured about an address, with the numbers behind each verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from mlplan.app.decide import resolve_address
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import State
from mlplan.report.plots import histogram_lines, is_bars
from mlplan.report.safe import one_line
from mlplan.report.style import Style


def evidence_of(state: State, name: str | None, verdict: str | None = None) -> list[Evidence]:
    """Return the evidence that records rest on: of everything, of an address, or of one gate or check below it.

    Raises: DiagnosticError (unknown-address, invalid-option).
    """
    if verdict is not None and verdict not in set(Verdict):
        detail = f'"{verdict}" is no verdict. There are {", ".join(Verdict)}.'
        raise DiagnosticError(Diagnostic("invalid-option", "An option cannot be used", detail))
    if name is None:
        digests = [d for record in state.records.values() for d in record.evidence]
    elif name in state.records or "@" in name:
        digests = list(state.records[resolve_address(name, state)].evidence)
    else:
        digests = [d for d, e in state.evidence.items() if e.subject == name or e.subject.startswith(name + ".")]
        if not digests:
            resolve_address(name, state)
    found = [state.evidence[d] for d in dict.fromkeys(digests) if d in state.evidence]
    return [e for e in found if verdict is None or e.verdict == verdict]


def evidence_text(found: list[Evidence], style: Style) -> str:
    """Return evidence for people: the verdict and what it says, then what it was measured with and on."""
    lines: list[str] = []
    for item in found:
        lines.append(f"{item.verdict!s:<12} {item.subject}")
        lines.append(f"  {one_line(item.message or item.question, 400)}")
        lines += [f"  {label:<10} {text}" for label, text in _facts(item) if text]
        bars = item.details.get("bars")
        lines += [f"    {line}" for line in (histogram_lines(bars, style) if is_bars(bars) else ())]
        lines.append("")
    return "\n".join(lines)


def _facts(item: Evidence) -> list[tuple[str, str]]:
    low, high = item.interval or (None, None)
    estimate = "" if item.estimate is None else f"{item.estimate:.6g}"
    if low is not None and high is not None:
        estimate += f" [{low:.6g}, {high:.6g}], confidence {item.confidence:g}"
    moment = datetime.fromtimestamp(item.at, UTC).isoformat(sep=" ", timespec="seconds") if item.at else ""
    inputs = ", ".join(f"{name} {digest.removeprefix('sha256:')[:12]}" for name, digest in sorted(item.inputs.items()))
    return [
        ("asked", one_line(item.question, 400) if item.message else ""),
        ("estimate", estimate),
        ("limit", "" if item.limit is None else f"{item.limit:.6g}"),
        ("n", "" if item.n is None else f"{item.n:,}"),
        ("method", one_line(item.method, 100)),
        ("severity", item.severity if item.severity != "block" else ""),
        ("inputs", inputs),
        ("at", moment),
    ]
