"""Type conversion and what looks at an expression as such: tostring …, try, can, sensitive, type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlplan.lang.convert import ConversionError, convert, list_of, map_of, set_of
from mlplan.lang.diagnostic import DiagnosticError, is_too_costly
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.survey import survey
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, SetType, Type, friendly
from mlplan.lang.unify import convertible
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    Null,
    Secret,
    SetValue,
    Unknown,
    Value,
    bare,
    secret,
)

if TYPE_CHECKING:
    from mlplan.lang.syntax import Call

_family = Family()
_COLLECTIONS: dict[str, Callable[[Type], Type]] = {"list": ListType, "set": SetType, "map": MapType}
FUNCTIONS = _family.functions


def _to(value: Value, of: Type) -> Value:
    try:
        return convert(value, of)
    except ConversionError as error:
        shown = f'cannot convert "{value}" to {of}' if isinstance(value, str) else f"cannot convert to {of}"
        more = (
            "; given string must be a decimal representation of a number"
            if of == NUMBER and isinstance(value, str)
            else ""
        )
        more = '; only the strings "true" or "false" are allowed' if of == BOOL and isinstance(value, str) else more
        raise FunctionError(f"{shown}{more}" if isinstance(value, str) else str(error), 0) from None


@_family.add(Parameter("v", ANY, null=True), result=STRING)
def tostring(value: Value) -> Value:
    """Return the value as text."""
    return _to(value, STRING)


@_family.add(Parameter("v", ANY, null=True), result=NUMBER)
def tonumber(value: Value) -> Value:
    """Return the value as a number."""
    return _to(value, NUMBER)


@_family.add(Parameter("v", ANY, null=True), result=BOOL)
def tobool(value: Value) -> Value:
    """Return the value as true or false."""
    return _to(value, BOOL)


def _marked_items(value: Value, what: str) -> tuple[Any, bool]:
    inner, taint = bare(value)
    if inner is None:
        return Null(_COLLECTIONS[what](ANY)), taint
    if isinstance(inner, Unknown):
        return inner, taint
    if isinstance(inner, Null):
        if not convertible(inner.type, _COLLECTIONS[what](ANY)):
            raise FunctionError(f"cannot convert {friendly(inner.type)} to {what} of any single type", 0)
        return Null(_COLLECTIONS[what](getattr(inner.type, "element", ANY))), taint
    wanted = (dict, MapValue, Entity) if what == "map" else (tuple, ListValue, SetValue)
    if not isinstance(inner, wanted):
        raise FunctionError(f"cannot convert to {what} of any single type", 0)
    return inner, taint


def _collected(make: Callable[[Any], Value], items: Any, what: str) -> Value:
    try:
        return make(items)
    except ConversionError as error:
        raise FunctionError(f"cannot convert to {what} of any single type: {error}", 0) from None


@_family.add(Parameter("v", ANY, null=True, marked=True))
def tolist(value: Value) -> Value:
    """Return the elements as a list of one type."""
    inner, taint = _marked_items(value, "list")
    if isinstance(inner, SetValue):
        inner = ListValue(inner.items, inner.element)
    elif isinstance(inner, tuple):
        inner = _collected(list_of, inner, "list")
    return secret(inner) if taint else inner


@_family.add(Parameter("v", ANY, null=True, marked=True))
def toset(value: Value) -> Value:
    """Return the elements as a set of one type."""
    inner, taint = _marked_items(value, "set")
    if isinstance(inner, ListValue):
        inner = set_of(inner.items, inner.element)
    elif isinstance(inner, tuple):
        inner = _collected(set_of, inner, "set")
    return secret(inner) if taint else inner


@_family.add(Parameter("v", ANY, null=True, marked=True))
def tomap(value: Value) -> Value:
    """Return the elements as a map of one type."""
    inner, taint = _marked_items(value, "map")
    if isinstance(inner, dict):
        inner = _collected(map_of, inner, "map")
    elif isinstance(inner, Entity):
        inner = _collected(map_of, inner.attributes, "map")
    return secret(inner) if taint else inner


@_family.add(Parameter("value", ANY, null=True, marked=True))
def sensitive(value: Value) -> Value:
    """Return the value as a secret."""
    return secret(value)


@_family.add(Parameter("value", ANY, null=True, marked=True))
def nonsensitive(value: Value) -> Value:
    """Return the value without its taint: the author vouches that it may be shown."""
    return bare(value)[0]


@_family.add(Parameter("value", ANY, null=True, marked=True), result=BOOL)
def issensitive(value: Value) -> Value:
    """Tell whether the value is a secret."""
    if isinstance(value, Secret):
        return True
    return Unknown(BOOL, value.origin) if isinstance(value, Unknown) else False


@_family.add(Parameter("value", ANY, null=True, marked=True))
def ephemeralasnull(value: Value) -> Value:
    """Return the value: nothing here is ephemeral."""
    return value


@_family.add(lazy=True, name="try")
def try_(evaluator: Any, expr: Call) -> Value:
    """Return the first argument that can be evaluated."""
    if not expr.arguments:
        raise FunctionError("at least one argument is required")
    reasons: list[str] = []
    for argument in expr.arguments:
        try:
            value: Value = evaluator.eval(argument)
            unknown = survey(value, evaluator.budget)[0]
            return value if unknown is None else Unknown(ANY, unknown.origin)
        except DiagnosticError as error:
            if is_too_costly(error):
                raise
            reasons.extend(d.detail for d in error.diagnostics)
    raise FunctionError("no expression succeeded: " + " ".join(reasons))


@_family.add(Parameter("expression"), lazy=True, name="can")
def can(evaluator: Any, expr: Call) -> Value:
    """Tell whether the argument can be evaluated."""
    try:
        value = evaluator.eval(expr.arguments[0])
    except DiagnosticError as error:
        if is_too_costly(error):
            raise
        return False
    unknown = survey(value, evaluator.budget)[0]
    return Unknown(BOOL, unknown.origin) if unknown is not None else True
