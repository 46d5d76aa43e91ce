"""Diagnostics as text with source line and carets, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, in_order
from mlplan.lang.hidden import hide
from mlplan.lang.source import SourceFile
from mlplan.report.safe import safe_text
from mlplan.report.style import Style


def diagnostics_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], style: Style) -> str:
    """Return all diagnostics of a run, sorted by place, with a count at the end."""
    ordered = in_order(diagnostics)
    blocks = [diagnostic_text(d, sources, style) for d in ordered]
    errors = sum(d.is_error for d in ordered)
    if errors > 1:
        blocks.append(f"{errors} errors.\n")
    return "\n".join(blocks)


def diagnostic_text(diagnostic: Diagnostic, sources: Mapping[str, SourceFile], style: Style) -> str:
    """Return one diagnostic: summary with code, place with carets, values, detail, hint."""
    colour = "red" if diagnostic.is_error else "yellow"
    word = "Error" if diagnostic.is_error else "Warning"
    lines = [f"{style.paint(f'{word}: {safe_text(diagnostic.summary)}', colour, 'bold')} [{diagnostic.code}]"]
    lines += _place(diagnostic, sources, style)
    if diagnostic.values:
        lines += ["", "  with"]
        lines += [f"    {safe_text(name)} = {safe_text(value)}" for name, value in diagnostic.values]
    if diagnostic.detail:
        lines.append("")
        for line in safe_text(diagnostic.detail).split("\n"):
            lines += [line] if line.startswith("    ") else textwrap.wrap(line, style.width) or [""]
    if diagnostic.hint:
        lines += ["", safe_text(diagnostic.hint)]
    return style.plain("\n".join(lines)) + "\n"


def _place(diagnostic: Diagnostic, sources: Mapping[str, SourceFile], style: Style) -> list[str]:
    span = diagnostic.span
    source = sources.get(span.path) if span else None
    if span is None or source is None:
        return [f"  in {safe_text(diagnostic.address)}"] if diagnostic.address else []
    line, column = source.line_column(span.start)
    text = source.line(line)
    shown = safe_text(text).replace("\t", " ")
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    inside = f", in {safe_text(diagnostic.address)}" if diagnostic.address else ""
    if _values_only(span.path):
        return [f"  on {safe_text(span.path)} line {line}{inside}"]
    number = f"{line:>4}"
    lead = len(safe_text(text[: column - 1]).replace("\t", " "))
    return [
        f"  on {safe_text(span.path)} line {line}{inside}:",
        f"  {number}: {shown}",
        f"  {' ' * len(number)}  {' ' * lead}{style.paint('^' * width, 'red')}",
    ]


def _values_only(path: str) -> bool:
    """Tell whether a file holds values of variables: its lines may be secret, so they are not shown."""
    return path.endswith((".tfvars", ".tfvars.json"))


def diagnostic_json(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    """Return a diagnostic as plain JSON; places count from 1."""
    document: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "summary": diagnostic.summary,
        "detail": hide(diagnostic.detail),
        "address": diagnostic.address,
        "hint": hide(diagnostic.hint) if diagnostic.hint else diagnostic.hint,
        "values": [{"reference": name, "value": hide(value)} for name, value in diagnostic.values],
        "range": None,
        "snippet": None,
    }
    span = diagnostic.span
    source = sources.get(span.path) if span else None
    if span is not None and source is not None:
        (line, column), (end_line, end_column) = source.line_column(span.start), source.line_column(span.end)
        document["range"] = {
            "filename": span.path,
            "start": {"line": line, "column": column, "offset": span.start},
            "end": {"line": end_line, "column": end_column, "offset": span.end},
        }
        document["snippet"] = None if _values_only(span.path) else hide(source.line(line))
    return document
