"""What `mlplan console` does with one entry: text to value, value to text, as `terraform console` does it."""

from __future__ import annotations

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.evaluate import evaluate_open
from mlplan.lang.functions import console_functions
from mlplan.lang.parse import parse_expression
from mlplan.lang.reference import references
from mlplan.lang.scope import Scope
from mlplan.lang.show import Verbatim, show
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Expr
from mlplan.lang.values import Value, elements

NAME = "<console-input>"


def evaluate_entry(text: str, scope: Scope) -> tuple[Value, list[Diagnostic]]:
    """Return the value of an entry, or None and what is wrong with it. `scope` says what names stand for.

    The functions are those of `console`. The value keeps what only printing needs: types of nulls, infinite numbers. A name that does
    not exist is reported even where it would not be evaluated.
    """
    source = SourceFile(NAME, text)
    expr, problems = parse_expression(source)
    if expr is None:
        return None, problems
    problems = _unknown_names(expr, scope)
    if problems:
        return None, problems
    inner = scope.child({})
    inner.functions = {**console_functions(), **scope.functions}
    try:
        value = evaluate_open(expr, inner)
    except DiagnosticError as error:
        return None, list(error.diagnostics)
    if any(map(_holds_verbatim, elements(value))):
        detail = "type(…) exists in the console only, and must be the whole entry: its answer is no value."
        return None, [Diagnostic("invalid-argument", "Invalid function argument", detail, span=expr.span)]
    return value, []


def answer(text: str, scope: Scope) -> tuple[str | None, list[Diagnostic]]:
    """Return what the console prints for an entry, or None and what is wrong with it."""
    value, problems = evaluate_entry(text, scope)
    return (None, problems) if problems else (show(value), [])


def is_complete(text: str) -> bool:
    """Tell whether an entry can be evaluated, or waits for further lines: brackets or a heredoc are still open."""
    from mlplan.lang.scan import scan

    _, problems = scan(SourceFile(NAME, text))
    return not any(problem.code == "unclosed-bracket" for problem in problems)


def _unknown_names(expr: Expr, scope: Scope) -> list[Diagnostic]:
    known = scope.names()
    found = [one for one in references(expr) if one.root not in known]
    return [
        Diagnostic(
            "unknown-reference",
            "Unknown reference",
            f'There is nothing named "{one.root}" here.',
            span=one.span,
            hint=suggestion(one.root, known),
        )
        for one in found
    ]


def _holds_verbatim(value: Value) -> bool:
    return isinstance(value, Verbatim) or any(map(_holds_verbatim, elements(value)))
