"""Conditions that people write: validations of variables, preconditions, postconditions, assertions of checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.scope import Scope
from mlplan.lang.syntax import Block
from mlplan.lang.types import BOOL
from mlplan.lang.values import Secret, Unknown, bare, first_unknown, holds_secret, to_python

Sort = Literal["validation", "precondition", "postcondition", "output", "assert"]

_CODES = {
    "validation": {"invalid-variable": "A variable's value is not valid"},
    "precondition": {"precondition-failed": "A precondition does not hold"},
    "postcondition": {"postcondition-failed": "A postcondition does not hold"},
    "output": {"output-condition-failed": "A precondition of an output does not hold"},
    "assert": {"check-failed": "A check does not hold"},
}


def broken(blocks: Iterable[Block], scope: Scope, sort: Sort) -> list[Diagnostic]:
    """Return the conditions that are false or cannot be evaluated; one that is not known yet waits for apply."""
    found: list[Diagnostic] = []
    for block in blocks:
        try:
            found += _one(block, scope, sort)
        except DiagnosticError as error:
            found += error.diagnostics
    return found


def _one(block: Block, scope: Scope, sort: Sort) -> list[Diagnostic]:
    condition, message = block.body.attributes["condition"].expr, block.body.attributes["error_message"].expr
    value = bare(evaluate(condition, scope))[0]
    if isinstance(value, Unknown):
        return []
    try:
        truth = convert(value, BOOL) if value is not None else None
    except ConversionError as error:
        detail = f"The condition must be true or false: {error}."
        return [Diagnostic("invalid-condition", "Incorrect condition type", detail, span=condition.span)]
    if truth is None:
        detail = "The condition is null; it must be true or false."
        return [Diagnostic("invalid-condition", "Incorrect condition type", detail, span=condition.span)]
    if truth is True:
        return []
    code, summary = next(iter(_CODES[sort].items()))
    return [Diagnostic(code, summary, _message(evaluate(message, scope)), span=condition.span)]


def _message(words: object) -> str:
    if holds_secret(words):  # type: ignore[arg-type]  # a value of the language
        return "The error message holds a sensitive value, so it is not shown."
    if isinstance(words, Unknown) or first_unknown(words) is not None:  # type: ignore[arg-type]
        return "The error message holds a value that is known only after apply."
    inner = words.value if isinstance(words, Secret) else words
    return str(to_python(inner))  # type: ignore[arg-type]
