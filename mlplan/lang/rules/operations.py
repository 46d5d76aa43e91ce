"""Operators on values that may be unknown or secret; the arithmetic itself is in `operators`."""

from __future__ import annotations

from decimal import Decimal

from mlplan.lang.convert import convert
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.evaluator import Evaluator, rule
from mlplan.lang.operators import OPERAND_TYPE, RESULT_TYPE, OperandError, binary, operand, unary
from mlplan.lang.survey import survey
from mlplan.lang.syntax import Binary, Expr, Unary
from mlplan.lang.types import BOOL, NUMBER, is_whole
from mlplan.lang.values import Unknown, Value, bare, is_null, secret, type_of


@rule(Unary)
def unary_(evaluator: Evaluator, expr: Unary) -> Value:
    """Return -a or !a."""
    value, taint = bare(evaluator.eval(expr.operand))
    of = NUMBER if expr.operator == "-" else BOOL
    try:
        if isinstance(value, Unknown):
            operand(value, of, "")
            result: Value = Unknown(of, value.origin)
        else:
            result = unary(expr.operator, value)
    except OperandError as error:
        raise _refused(evaluator, expr, expr.operand, error) from None
    return secret(result) if taint else result


@rule(Binary)
def binary_(evaluator: Evaluator, expr: Binary) -> Value:
    """Return a + b and its kin."""
    left, left_taint = bare(evaluator.eval(expr.left))
    right, right_taint = bare(evaluator.eval(expr.right))
    unknown: Unknown | None = next((v for v in (left, right) if isinstance(v, Unknown)), None)
    taint = left_taint or right_taint
    if expr.operator in ("==", "!="):
        found, inner = survey(left, evaluator.budget), survey(right, evaluator.budget)
        unknown = unknown or found[0] or inner[0]
        taint = taint or found[1] or inner[1]
        if unknown and _never_equal(left, right):
            return secret(expr.operator == "!=") if taint else expr.operator == "!="
        if unknown and (is_null(left) or is_null(right)) and not any(isinstance(v, Unknown) for v in (left, right)):
            unknown = None
    try:
        if unknown is None:
            result = binary(expr.operator, left, right)
            if isinstance(result, Decimal) and result:
                evaluator.budget.step(abs(result.adjusted()) if result.is_finite() else 1)  # long numbers take long
        else:
            if expr.operator not in ("==", "!="):
                operand(left, OPERAND_TYPE[expr.operator], "left")
                operand(right, OPERAND_TYPE[expr.operator], "right")
            result = short_circuit(expr.operator, left, right, unknown)
    except OperandError as error:
        raise _refused(evaluator, expr, {"left": expr.left, "right": expr.right}.get(error.side, expr), error) from None
    return secret(result) if taint else result


def _never_equal(left: Value, right: Value) -> bool:
    """Tell whether two values differ whatever their unknown parts are: their types are known, and others."""
    one, other = type_of(left), type_of(right)
    return not is_null(left) and not is_null(right) and one != other and is_whole(one) and is_whole(other)


def _refused(evaluator: Evaluator, expr: Expr, at: Expr, error: OperandError) -> DiagnosticError:
    return evaluator.fail(expr, error.code, error.summary, str(error), at=at)


def short_circuit(operator: str, left: Value, right: Value, unknown: Unknown) -> Value:
    """Return what is known although one operand is not: `false && …` is false, `true || …` is true."""
    if operator in ("&&", "||"):
        decides = operator == "||"
        for value in (left, right):
            if not isinstance(value, Unknown) and convert(value, BOOL) is decides:
                return decides
    return Unknown(RESULT_TYPE[operator], unknown.origin)
