"""Conditionals: both results give the type, one gives the value, and a mistake in the other one is never heard of."""

from __future__ import annotations

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.evaluator import Evaluator, rule
from mlplan.lang.survey import survey
from mlplan.lang.syntax import Conditional
from mlplan.lang.types import ANY, ObjectType, TupleType, Type, friendly
from mlplan.lang.unify import unify
from mlplan.lang.values import Entity, Secret, Unknown, Value, bare, secret, type_of


@rule(Conditional)
def conditional(evaluator: Evaluator, expr: Conditional) -> Value:
    """Return a ? b : c."""
    then, then_error = evaluator.attempt(expr.then)
    otherwise, otherwise_error = evaluator.attempt(expr.otherwise)
    if then_error is None and otherwise_error is None:
        _common_type(evaluator, expr, then, otherwise)  # refused before the condition is looked at
    test, taint = evaluator.condition(expr, expr.condition, "The condition")
    if isinstance(test, Unknown):
        # A mistake in one of them counts only when that one is chosen, and nobody knows yet.
        then = Unknown(ANY, test.origin) if then_error is not None else then
        otherwise = Unknown(ANY, test.origin) if otherwise_error is not None else otherwise
        of = _common_type(evaluator, expr, then, otherwise)
        taint = taint or isinstance(then, Secret) or isinstance(otherwise, Secret)
        result: Value = Unknown(of, test.origin)
        return secret(result) if taint else result
    error, chosen = (then_error, then) if test is True else (otherwise_error, otherwise)
    if error is not None:
        raise error
    if then_error is None and otherwise_error is None and not isinstance(bare(chosen)[0], Entity):
        chosen = _converted(evaluator, expr, chosen, then, otherwise)
    return secret(chosen) if taint else chosen


def _converted(evaluator: Evaluator, expr: Conditional, chosen: Value, then: Value, otherwise: Value) -> Value:
    survey(then, evaluator.budget)
    survey(otherwise, evaluator.budget)
    of = _common_type(evaluator, expr, then, otherwise)
    try:
        return convert(chosen, of)
    except ConversionError as error:
        raise _inconsistent(evaluator, expr, then, otherwise, str(error)) from None


def _common_type(evaluator: Evaluator, expr: Conditional, then: Value, otherwise: Value) -> Type:
    then, otherwise = bare(then)[0], bare(otherwise)[0]
    one, other = type_of(then), type_of(otherwise)
    if one == other:
        return one if isinstance(then, Unknown) or isinstance(otherwise, Unknown) else ANY
    if then is None or otherwise is None:
        return other if then is None else one
    if (isinstance(then, Unknown) and one == ANY) or (isinstance(otherwise, Unknown) and other == ANY):
        return ANY
    found = unify([one, other])
    if found is None:
        raise _inconsistent(evaluator, expr, then, otherwise, "")
    return found


def _inconsistent(evaluator: Evaluator, expr: Conditional, then: Value, otherwise: Value, why: str) -> DiagnosticError:
    where, one, other = _difference(type_of(then), type_of(otherwise), "")
    detail = (
        f"The two results of a conditional must have one type.{where} The 'true' value is {friendly(one)}, "
        f"but the 'false' value is {friendly(other)}." + (f" In particular: {why}." if why else "")
    )
    return evaluator.fail(expr, "inconsistent-types", "Inconsistent conditional result types", detail)


def _difference(one: Type, other: Type, where: str) -> tuple[str, Type, Type]:
    """Return the innermost place where two types differ, in words, and the types there."""
    if isinstance(one, ObjectType) and isinstance(other, ObjectType):
        for name in sorted(set(one.attributes) & set(other.attributes)):
            first, second = one.attributes[name], other.attributes[name]
            if unify([first, second]) is None:
                return _difference(first, second, f' They differ at the attribute "{name}".')
    if isinstance(one, TupleType) and isinstance(other, TupleType):
        for number, (first, second) in enumerate(zip(one.elements, other.elements, strict=False)):
            if unify([first, second]) is None:
                return _difference(first, second, f" They differ at element {number}.")
    return where, one, other
