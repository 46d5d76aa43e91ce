"""What to say when the grammar refuses a statement: ours, in full sentences, never a list of token names."""

from __future__ import annotations

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.grammar import GrammarError
from mlplan.lang.mask import Unit
from mlplan.lang.scan import Kind
from mlplan.lang.source import SourceFile

_OPERAND_KINDS = (Kind.IDENT, Kind.NUMBER, Kind.QUOTE_OPEN, Kind.HEREDOC_OPEN)


def too_deep(source: SourceFile, start: int, end: int) -> Diagnostic:
    """Return the diagnostic for an expression with too many levels."""
    detail = "This expression has too many levels, one inside the other or one after the other. Move parts of it into locals."
    return Diagnostic("nesting-too-deep", "Nesting too deep", detail, span=source.span(start, end))


def refused(error: GrammarError, units: list[Unit], source: SourceFile, place: int, alone: bool = False) -> Diagnostic:
    """Return the diagnostic for a refusal. place: offset to point at when there are no units. alone: it is an expression, no file."""
    if not units:
        return _expression(source, place, place + 1, "A value is missing here.")
    if error.too_long:
        detail = (
            "This statement, or this file, is too long to be read in reasonable time. Split it, or keep long data in a file "
            "of its own and read that with jsondecode(file(...)) or csvdecode(file(...))."
        )
        return Diagnostic(
            "statement-too-long", "Statement too long", detail, span=source.span(units[0].start, units[0].end)
        )
    if error.too_deep:
        return too_deep(source, units[0].start, units[-1].end)
    if error.unit is None:
        last = units[-1]
        return _after_last(source, last, alone)
    unit = units[error.unit]
    before = units[error.unit - 1] if error.unit else None
    if unit.kind is Kind.NEWLINE:
        return _line_ends(source, units, error.unit)
    found = _shown(source, unit)
    if alone and before is None:
        return _expression(source, unit.start, unit.end, f"A value should begin here, but {found} was found.")
    if before is None or before.kind is Kind.NEWLINE:
        if unit.kind is Kind.QUOTE_OPEN:
            return _statement(
                source, unit, f"{found} stands where a name should: names of arguments are written without quotes."
            )
        return _statement(
            source, unit, f"An argument (name = value) or a block should begin here, but {found} was found."
        )
    if _ends_operand(before):
        detail = (
            f"After {_shown(source, before)} comes an operator, a separator, or the end of the line; found {found}."
        )
    else:
        detail = f"A value is missing after {_shown(source, before)}; found {found}."
    return _expression(source, unit.start, unit.end, detail)


def _after_last(source: SourceFile, last: Unit, alone: bool) -> Diagnostic:
    if _ends_operand(last) and alone:
        return _expression(
            source, last.start, last.end, f"The expression ends after {_shown(source, last)}, unfinished."
        )
    if _ends_operand(last):
        detail = (
            f"Something is missing after {_shown(source, last)}: an argument is written name = value, a block ends with "
            + "{ }."
        )
        return _statement(source, last, detail)
    return _expression(source, last.start, last.end, f"A value is missing after {_shown(source, last)}.")


def _line_ends(source: SourceFile, units: list[Unit], index: int) -> Diagnostic:
    before = units[index - 1]
    line = list(units[:index])
    while any(unit.kind is Kind.NEWLINE for unit in line):
        line = line[next(i for i, unit in enumerate(line) if unit.kind is Kind.NEWLINE) + 1 :]
    if all(unit.kind in (Kind.IDENT, Kind.QUOTE_OPEN) for unit in line):
        detail = (
            f"The line ends after {_shown(source, before)}. An argument is written name = value; a block is its type, "
            "its labels and { on one line."
        )
        return _statement(source, before, detail)
    if _ends_operand(before):
        return _expression(
            source, before.start, before.end, f"The line ends after {_shown(source, before)}, unfinished."
        )
    return _expression(
        source, before.start, before.end, f"The line ends where a value should follow {_shown(source, before)}."
    )


def _ends_operand(unit: Unit) -> bool:
    return unit.kind in _OPERAND_KINDS or unit.text in (")", "]", "}")


def _shown(source: SourceFile, unit: Unit) -> str:
    if unit.kind is Kind.HEREDOC_OPEN:
        return "the heredoc"
    if unit.kind is Kind.NEWLINE:
        return "the end of the line"
    text = source.text[unit.start : unit.end]
    text = text if len(text) <= 40 else text[:37] + "…"
    return text if unit.kind is Kind.QUOTE_OPEN else f'"{text}"'


def _expression(source: SourceFile, start: int, end: int, detail: str) -> Diagnostic:
    return Diagnostic("invalid-expression", "Invalid expression", detail, span=source.span(start, end))


def _statement(source: SourceFile, unit: Unit, detail: str) -> Diagnostic:
    return Diagnostic("invalid-statement", "Invalid argument or block", detail, span=source.span(unit.start, unit.end))
