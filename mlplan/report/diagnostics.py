"""Diagnostics as text with source line and carets, and as JSON."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, in_order
from mlplan.lang.hidden import hide
from mlplan.lang.source import SourceFile
from mlplan.report.safe import safe_text
from mlplan.report.style import Style

MOST_LINES = 20
"""Of source in a snippet."""
_HEADER = re.compile(r'([A-Za-z_][\w-]*(?:\s+"[^"]*")*)\s*\{')


def diagnostics_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], style: Style) -> str:
    """Return all diagnostics of a run, sorted by place, with a count at the end."""
    ordered = in_order(diagnostics)
    blocks = [diagnostic_text(d, sources, style) for d in ordered]
    errors = sum(d.is_error for d in ordered)
    if errors > 1:
        blocks.append(f"{errors} errors.\n")
    return "\n".join(blocks)


def compact_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceFile], style: Style) -> str:
    """Return one line a diagnostic: summary, code, place."""
    lines = []
    for diagnostic in in_order(diagnostics):
        word = style.paint("Error" if diagnostic.is_error else "Warning", "red" if diagnostic.is_error else "yellow")
        span = diagnostic.span
        source = sources.get(span.path) if span is not None else None
        place = (
            f"{span.path} line {source.line_column(span.start)[0]}" if span is not None and source is not None else ""
        )
        where = ", ".join(safe_text(part) for part in (place, diagnostic.address or "") if part)
        lines.append(f"{word}: {safe_text(diagnostic.summary)} [{diagnostic.code}]{f' ({where})' if where else ''}")
    return style.plain("\n".join(lines)) + "\n" if lines else ""


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
    """Return a diagnostic in the form of Terraform's JSON, with our code and hint; places count from 1, bytes from 0."""
    document: dict[str, Any] = {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "summary": diagnostic.summary,
        "detail": hide(diagnostic.detail),
    }
    if diagnostic.hint:
        document["hint"] = hide(diagnostic.hint)
    if diagnostic.address:
        document["address"] = diagnostic.address
    span = diagnostic.span
    source = sources.get(span.path) if span else None
    if span is None or source is None:
        return document
    document["range"] = {
        "filename": span.path,
        "start": _point(source, span.start),
        "end": _point(source, span.end),
    }
    if not _values_only(span.path):
        document["snippet"] = _snippet(diagnostic, source, span.start, span.end)
    return document


def _point(source: SourceFile, offset: int) -> dict[str, int]:
    line, column = source.line_column(offset)
    return {"line": line, "column": column, "byte": _bytes(source.text[:offset])}


def _snippet(diagnostic: Diagnostic, source: SourceFile, start: int, end: int) -> dict[str, Any]:
    (first, column), (last, _) = source.line_column(start), source.line_column(end)
    lines = [source.line(number) for number in range(first, min(last, first + MOST_LINES) + 1)]
    code = "\n".join(lines)
    begin = start - column + 1
    stop = min(end - begin, len(code))
    return {
        "context": _context(source, first),
        "code": hide(code),
        "start_line": first,
        "highlight_start_offset": _bytes(code[: column - 1]),
        "highlight_end_offset": _bytes(code[: max(stop, column - 1)]),
        "values": [{"traversal": name, "statement": f"is {hide(value)}"} for name, value in diagnostic.values],
    }


def _context(source: SourceFile, number: int) -> str | None:
    """Return the header of the block that a line lies in, as it is written; None at the top of a file."""
    for above in range(number, 0, -1):
        line = source.line(above)
        if above < number and line.startswith("}"):
            return None
        header = _HEADER.match(line)
        if header is not None:
            return header[1].strip()
    return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
