"""Function calls: arguments to parameters, unknown and secret around implementations, refusals to diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, is_too_costly, suggestion
from mlplan.lang.functions.registry import Function, FunctionError, Parameter
from mlplan.lang.show import Verbatim
from mlplan.lang.survey import survey
from mlplan.lang.syntax import Call, Expr
from mlplan.lang.values import (
    ListValue,
    Secret,
    SetValue,
    Unknown,
    Value,
    bare,
    bare_deep,
    elements,
    holds_secret,
    is_null,
    normal,
    secret,
)

if TYPE_CHECKING:
    from mlplan.lang.evaluator import Evaluator


_UNSAID = "a sensitive value does not fit here; to keep it, no more is said about it"


@dataclass(slots=True)
class _Prepared:
    """Arguments ready for an implementation, and what was taken off them."""

    values: list[Value]
    unknown: Unknown | None = None
    taint: bool = False


def call_function(evaluator: Evaluator, expr: Call) -> Value:
    """Evaluate a call. Raises DiagnosticError."""
    name = expr.name.removeprefix("core::")
    function = evaluator.scope.functions.get(name)
    if function is None:
        raise _unknown_function(evaluator, expr, name)
    if function.lazy:
        return _call_lazy(evaluator, expr, function)
    arguments: Sequence[Value] = [evaluator.eval(argument) for argument in expr.arguments]
    taint = False
    if expr.expand_final:
        expanded = _expand(evaluator, expr, arguments)
        if isinstance(expanded, Unknown):
            return Unknown(function.result, expanded.origin)
        arguments, taint = expanded
    _check_count(evaluator, expr, function, len(arguments))
    prepared = _prepare(evaluator, expr, function, arguments)
    taint = taint or prepared.taint
    if prepared.unknown is not None:
        result: Value = Unknown(function.result, prepared.unknown.origin)
    else:
        result = _run(evaluator, expr, function, prepared.values, arguments)
    return secret(result) if taint else result


def _unknown_function(evaluator: Evaluator, expr: Call, name: str) -> DiagnosticError:
    if "::" in name:
        detail = f'There is no function named "{expr.name}": only functions of the language itself (core::) exist.'
    else:
        detail = f'There is no function named "{name}".'
    hint = suggestion(name, evaluator.scope.functions)
    problem = Diagnostic("unknown-function", "Call to unknown function", detail, span=expr.name_span, hint=hint)
    return DiagnosticError(problem)


def _call_lazy(evaluator: Evaluator, expr: Call, function: Function) -> Value:
    try:
        return function.implementation(evaluator, expr)
    except FunctionError as error:
        raise _refused(evaluator, expr, function, error) from None


def _expand(evaluator: Evaluator, expr: Call, arguments: Sequence[Value]) -> tuple[Sequence[Value], bool] | Unknown:
    last, taint = bare(arguments[-1])
    if isinstance(last, Unknown):
        return last
    if not isinstance(last, (tuple, ListValue, SetValue)):
        detail = 'The argument before "..." must be a list, tuple or set: its elements become the arguments.'
        raise evaluator.fail(
            expr, "invalid-argument", "Invalid expanding argument value", detail, at=expr.arguments[-1]
        )
    return [*arguments[:-1], *elements(last)], taint


def _check_count(evaluator: Evaluator, expr: Call, function: Function, count: int) -> None:
    wanted = len(function.parameters)
    if count < wanted:
        missing = function.parameters[count].name
        least = "at least " if function.rest is not None else ""
        detail = f'Function "{function.name}" expects {least}{_arguments(wanted)}. Missing value for "{missing}".'
        raise evaluator.fail(expr, "wrong-argument-count", "Not enough function arguments", detail)
    if count > wanted and function.rest is None:
        detail = f'Function "{function.name}" expects only {_arguments(wanted)}.'
        at = expr.arguments[wanted] if wanted < len(expr.arguments) else expr
        raise evaluator.fail(expr, "wrong-argument-count", "Too many function arguments", detail, at=at)


def _arguments(count: int) -> str:
    return f"{count} argument" + ("" if count == 1 else "s")


def _prepare(evaluator: Evaluator, expr: Call, function: Function, arguments: Sequence[Value]) -> _Prepared:
    prepared = _Prepared([])
    for number, value in enumerate(arguments):
        parameter = function.parameters[number] if number < len(function.parameters) else function.rest
        assert parameter is not None
        at = expr.arguments[min(number, len(expr.arguments) - 1)]
        prepared.values.append(_argument(evaluator, expr, prepared, parameter, value, at))
    return prepared


def _argument(
    evaluator: Evaluator, expr: Call, prepared: _Prepared, parameter: Parameter, value: Value, at: Expr
) -> Value:
    unknown, tainted = survey(value, evaluator.budget)
    if isinstance(value, Verbatim) and expr.name != "type":
        raise _invalid(evaluator, expr, parameter, "the answer of type(…) is no value", at)
    if parameter.shallow:
        value, outer = bare(value)
        prepared.taint = prepared.taint or outer
        unknown = value if isinstance(value, Unknown) else None
    elif not parameter.marked and tainted:
        value, prepared.taint = bare_deep(value)[0], True
    if is_null(value) or (isinstance(value, Secret) and is_null(value.value)):
        if not parameter.null:
            raise _invalid(evaluator, expr, parameter, "argument must not be null", at)
        return value
    try:
        converted = convert(value, parameter.type)
    except ConversionError as error:
        raise _invalid(evaluator, expr, parameter, error.message if tainted else str(error), at) from None
    if not parameter.marked and unknown is not None:
        prepared.unknown = prepared.unknown or unknown
    return converted


def _invalid(evaluator: Evaluator, expr: Call, parameter: Parameter, why: str, at: Expr) -> DiagnosticError:
    detail = f'Invalid value for "{parameter.name}" parameter: {why}.'
    return evaluator.fail(expr, "invalid-argument", "Invalid function argument", detail, at=at)


def _run(
    evaluator: Evaluator, expr: Call, function: Function, values: list[Value], arguments: Sequence[Value]
) -> Value:
    try:
        given = [evaluator.scope, *values] if function.scoped else values
        result = function.implementation(*given)
    except (FunctionError, ConversionError, DiagnosticError) as error:
        if not is_too_costly(error) and any(map(holds_secret, arguments)):
            argument = getattr(error, "argument", None)
            raise _refused(evaluator, expr, function, FunctionError(_UNSAID, argument)) from None
        if isinstance(error, DiagnosticError):
            raise
        if isinstance(error, FunctionError):
            raise _refused(evaluator, expr, function, error) from None
        raise _refused(evaluator, expr, function, FunctionError(str(error))) from None
    if isinstance(result, str):
        evaluator.budget.produce(len(result))
        return result if result.isascii() or isinstance(result, Verbatim) else normal(result)
    evaluator.budget.produce(16 * len(elements(result)))
    return result


def _refused(evaluator: Evaluator, expr: Call, function: Function, error: FunctionError) -> DiagnosticError:
    if error.argument is None:
        detail = f'Call to function "{function.name}" failed: {error}.'
        return evaluator.fail(expr, "function-failed", "Error in function call", detail)
    number = error.argument
    parameter = function.parameters[number] if number < len(function.parameters) else function.rest
    at = expr.arguments[min(number, len(expr.arguments) - 1)] if expr.arguments else expr
    assert parameter is not None
    return _invalid(evaluator, expr, parameter, str(error), at)
