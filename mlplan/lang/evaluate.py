"""Expressions to values, with Terraform's semantics. Unknown and secret go through everything; a budget bounds it all."""

from __future__ import annotations

from collections.abc import Iterable

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluator import Evaluator
from mlplan.lang.reference import references
from mlplan.lang.rules import install
from mlplan.lang.scope import Scope
from mlplan.lang.survey import survey
from mlplan.lang.syntax import Expr
from mlplan.lang.values import Value, settle

__all__ = ["evaluate", "evaluate_all", "evaluate_inner", "references"]
install()


def evaluate(expr: Expr, scope: Scope) -> Value:
    """Return the value of an expression; every evaluation starts with a fresh budget.

    Raises DiagnosticError. Diagnostics: unknown-reference, unsupported-attribute, invalid-index, invalid-operand,
    invalid-condition, inconsistent-types, invalid-template-value, invalid-for, duplicate-key, invalid-key, unknown-function,
    wrong-argument-count, invalid-argument, function-failed, null-value, number-too-large, expression-too-costly.
    """
    value = evaluate_open(expr, scope)
    try:
        return settle(value)
    except ArithmeticError:
        detail = (
            "The result is, or holds, an infinite number, as a division by zero gives it. Nothing can be made of that."
        )
        raise DiagnosticError(Diagnostic("number-too-large", "Number too large", detail, span=expr.span)) from None


def evaluate_open(expr: Expr, scope: Scope) -> Value:
    """Return the value of an expression as it is inside an evaluation: with the types of nulls, and with infinite numbers.

    Raises DiagnosticError, as `evaluate` does.
    """
    scope.budget.restart()
    return evaluate_inner(expr, scope)


def evaluate_inner(expr: Expr, scope: Scope) -> Value:
    """Return the value of an expression that is part of a running evaluation (its budget goes on). Raises DiagnosticError."""
    try:
        value = Evaluator(scope).eval(expr)
        survey(value, scope.budget)
    except DiagnosticError as error:
        if any(d.span is None for d in error.diagnostics):
            raise DiagnosticError(*(d.at(expr.span) for d in error.diagnostics)) from None
        raise
    return value


def evaluate_all(exprs: Iterable[Expr], scope: Scope) -> tuple[list[Value | None], list[Diagnostic]]:
    """Evaluate several expressions; where one fails its value is None and its diagnostics are among those returned."""
    values: list[Value | None] = []
    problems: list[Diagnostic] = []
    for expr in exprs:
        try:
            values.append(evaluate(expr, scope))
        except DiagnosticError as error:
            values.append(None)
            problems.extend(error.diagnostics)
    return values, problems
