"""Function calls: arguments to parameters, unknown and secret around implementations, refusals to diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, is_too_costly, suggestion
from mlplan.lang.functions.registry import Function, FunctionError, Parameter
from mlplan.lang.functions.typed import CHECKS
from mlplan.lang.show import Verbatim
from mlplan.lang.survey import survey
from mlplan.lang.syntax import Call, Expr, GetAttr, Index, Literal, ScopeRef, Template
from mlplan.lang.types import ANY, ListType, SetType, TupleType
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
    type_of,
)

if TYPE_CHECKING:
    from mlplan.lang.evaluator import Evaluator


_BLAMES_CALL = frozenset(
    ["base64decode", "bcrypt", "chunklist", "contains", "csvdecode", "element", "filebase64sha256", "filebase64sha512", "fileexists",
     "filemd5", "fileset", "filesha1", "filesha256", "filesha512", "flatten", "indent", "index", "jsondecode",
     "length", "log", "merge", "sort", "substr", "timeadd", "uuidv5", "values", "yamldecode", "yamlencode", "zipmap"]
)  # fmt: skip
"""Functions whose refusals are about the call as a whole, as Terraform words them; the place is still that of the argument."""

_UNSAID = "a sensitive value does not fit here; to keep it, no more is said about it"


@dataclass(slots=True)
class _Prepared:
    """Arguments ready for an implementation, and what was taken off them. open: some part of them is unknown."""

    values: list[Value]
    unknown: Unknown | None = None
    taint: bool = False
    open: bool = False


def call_function(evaluator: Evaluator, expr: Call) -> Value:
    """Evaluate a call. Raises DiagnosticError."""
    name = expr.name.removeprefix("core::")
    function = evaluator.scope.functions.get(name)
    if function is None:
        raise _unknown_function(evaluator, expr, name)
    if function.lazy:
        if function.parameters:
            _check_count(evaluator, expr, function, len(expr.arguments))
        return _call_lazy(evaluator, expr, function)
    if function.name == "templatestring" and expr.arguments:
        _check_template(evaluator, expr, function)
    if not expr.expand_final:
        _check_count(evaluator, expr, function, len(expr.arguments))
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
    if prepared.open:
        _check_types(evaluator, expr, function, arguments)
    if prepared.unknown is not None:
        result: Value = Unknown(function.result, prepared.unknown.origin)
    else:
        result = _run(evaluator, expr, function, prepared.values, arguments)
    return secret(result) if taint else result


def _check_template(evaluator: Evaluator, expr: Call, function: Function) -> None:
    """Refuse a template that is written out: text from elsewhere is meant, and what is written out is a template already."""
    given = inner = expr.arguments[0]
    while isinstance(inner, (GetAttr, Index)):
        inner = inner.source
    if isinstance(inner, ScopeRef):
        return
    if isinstance(given, (Literal, Template)):
        why = "a template that is written out needs no function: write it as a string, or name the text to be rendered"
    else:
        why = "it must be a direct reference to a single string from elsewhere"
    raise _invalid(evaluator, expr, function.parameters[0], f"invalid template expression: {why}", given)


def _check_types(evaluator: Evaluator, expr: Call, function: Function, arguments: Sequence[Value]) -> None:
    check = CHECKS.get(function.name)
    if check is not None:
        try:
            check([ANY if is_null(bare(value)[0]) else type_of(value) for value in arguments])
        except FunctionError as error:
            raise _refused(evaluator, expr, function, error) from None


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
    if isinstance(last, Unknown) and (last.type == ANY or isinstance(last.type, (ListType, SetType, TupleType))):
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
    prepared.open = prepared.open or unknown is not None
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
    place = error.at
    at = expr.arguments[min(place, len(expr.arguments) - 1)] if place is not None and expr.arguments else expr
    if error.argument is None or function.name in _BLAMES_CALL:
        detail = f'Call to function "{function.name}" failed: {error}.'
        return evaluator.fail(expr, "function-failed", "Error in function call", detail, at=at)
    number = error.argument
    parameter = function.parameters[number] if number < len(function.parameters) else function.rest
    assert parameter is not None
    return _invalid(evaluator, expr, parameter, str(error), at)
