"""References into values: attributes, indexes, splats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.diagnostic import DiagnosticError, suggestion
from mlplan.lang.evaluator import Evaluator, attributes_of, rule
from mlplan.lang.numbers import whole
from mlplan.lang.syntax import Expr, GetAttr, Index, Splat, SplatItem
from mlplan.lang.types import (
    ANY,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    Type,
    friendly,
)
from mlplan.lang.unify import unify
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    Null,
    SetValue,
    Unknown,
    Value,
    bare,
    is_null,
    secret,
    type_of,
)

SPLAT = "(splat)"
_NOT_THERE = "The given key does not identify an element in this collection value"


@rule(GetAttr)
def get_attr(evaluator: Evaluator, expr: GetAttr) -> Value:
    """Return a.b."""
    source, taint = bare(evaluator.eval(expr.source))
    result = attribute(evaluator, expr, source, expr.name)
    return secret(result) if taint else result


def attribute(evaluator: Evaluator, expr: GetAttr | Index, source: Value, name: str) -> Value:
    """Return an attribute of a value that is not secret."""
    attributes = attributes_of(source)
    if attributes is not None:
        if name in attributes:
            found: Value = attributes[name]
            return found
        raise _no_attribute(evaluator, expr, source, name, attributes)
    if is_null(source):
        detail = f'This value is null, so it has no attribute "{name}".'
        raise evaluator.fail(expr, "null-value", "Attempt to get attribute from null value", detail)
    if isinstance(source, Unknown):
        return _unknown_attribute(evaluator, expr, source, name)
    detail = f'A {friendly(type_of(source))} has no attributes, so ".{name}" does not exist.'
    hint = None
    if isinstance(source, (tuple, ListValue, SetValue)):
        hint = f"For the attribute of every element, write [*].{name}; for that of one element, [0].{name}."
    raise evaluator.fail(expr, "unsupported-attribute", "Unsupported attribute", detail, hint=hint)


def _no_attribute(evaluator: Evaluator, expr: Expr, source: Value, name: str, known: Iterable[str]) -> DiagnosticError:
    what = f'"{source.identity}"' if isinstance(source, Entity) else "This object"
    if isinstance(source, MapValue):
        detail = f'The key "{name}" is not in this map.'
        return evaluator.fail(expr, "invalid-index", "Invalid index", detail, hint=suggestion(name, known))
    detail = f'{what} does not have an attribute named "{name}".'
    return evaluator.fail(expr, "unsupported-attribute", "Unsupported attribute", detail, hint=suggestion(name, known))


def _unknown_attribute(evaluator: Evaluator, expr: Expr, source: Unknown, name: str) -> Value:
    match source.type:
        case ObjectType(attributes=attributes):
            if name not in attributes:
                raise _no_attribute(evaluator, expr, {}, name, attributes)
            return Unknown(attributes[name], source.origin)
        case MapType(element):
            return Unknown(element, source.origin)
    if source.type == ANY:
        return Unknown(ANY, source.origin)
    detail = f'A {friendly(source.type)} has no attributes, so ".{name}" does not exist.'
    raise evaluator.fail(expr, "unsupported-attribute", "Unsupported attribute", detail)


@rule(Index)
def index(evaluator: Evaluator, expr: Index) -> Value:
    """Return a[b]."""
    source, source_taint = bare(evaluator.eval(expr.source))
    key, key_taint = bare(evaluator.eval(expr.key))
    result = _indexed(evaluator, expr, source, key)
    return secret(result) if source_taint or key_taint else result


def _indexed(evaluator: Evaluator, expr: Index, source: Value, key: Value) -> Value:
    if is_null(source):
        detail = "This value is null, so it has no elements."
        raise evaluator.fail(expr, "null-value", "Attempt to index null value", detail)
    if is_null(key):
        raise evaluator.fail(expr, "invalid-index", "Invalid index", "The index is null.", at=expr.key)
    if isinstance(source, Unknown):
        if isinstance(source.type, ObjectType) and isinstance(key, str):
            return _unknown_attribute(evaluator, expr, source, key)
        if isinstance(source.type, Primitive) and source.type != ANY:
            detail = f"A {friendly(source.type)} has no elements to choose from."
            raise evaluator.fail(expr, "invalid-index", "Invalid index", detail)
        if isinstance(source.type, (ListType, TupleType, MapType)):
            _index_key(evaluator, expr, key, STRING if isinstance(source.type, MapType) else NUMBER)
        return Unknown(_element_type(source), (key if isinstance(key, Unknown) else source).origin)
    if isinstance(source, SetValue):
        detail = "Elements of a set have no index: a set has no order. Use tolist(...) first, or a for expression."
        raise evaluator.fail(expr, "invalid-index", "Invalid index", detail)
    attributes = attributes_of(source)
    sequence = isinstance(source, (tuple, ListValue))
    if attributes is None and not sequence:
        detail = f"A {friendly(type_of(source))} has no elements to choose from."
        raise evaluator.fail(expr, "invalid-index", "Invalid index", detail)
    if isinstance(key, Unknown):
        _index_key(evaluator, expr, key, NUMBER if sequence else STRING)
        return Unknown(_element_type(source), key.origin)
    if isinstance(source, (tuple, ListValue)):
        return _element(evaluator, expr, source if isinstance(source, tuple) else source.items, key)
    name = _index_key(evaluator, expr, key, STRING)
    assert isinstance(name, str)
    if name in attributes:
        found: Value = attributes[name]
        return found
    hint = suggestion(name, attributes)
    raise evaluator.fail(expr, "invalid-index", "Invalid index", f"{_NOT_THERE}.", at=expr.key, hint=hint)


def _index_key(evaluator: Evaluator, expr: Index, key: Value, of: Type) -> Value:
    try:
        return convert(key, of)
    except ConversionError as error:
        detail = f"{_NOT_THERE}: {error}."
        raise evaluator.fail(expr, "invalid-index", "Invalid index", detail, at=expr.key) from None


def _element(evaluator: Evaluator, expr: Index, items: Sequence[Value], key: Value) -> Value:
    number = _index_key(evaluator, expr, key, NUMBER)
    assert isinstance(number, Decimal)
    position = whole(number)
    if position is not None and 0 <= position < len(items):
        return items[position]
    if position is None:
        detail = f"{_NOT_THERE}: a whole number is required."
    elif position < 0:
        detail = f"{_NOT_THERE}: a negative number is not a valid index. Use element(list, length(list) - 1) to count from the end."
    else:
        detail = f"{_NOT_THERE}: it has {len(items)} element{'' if len(items) == 1 else 's'}, counted from 0."
    raise evaluator.fail(expr, "invalid-index", "Invalid index", detail, at=expr.key)


def _element_type(source: Value) -> Type:
    of = source.type if isinstance(source, Unknown) else type_of(source)
    match of:
        case ListType(element) | MapType(element) | SetType(element):
            return element
        case TupleType(inner) if inner:
            return unify(inner) or ANY
    return ANY


@rule(SplatItem)
def splat_item(evaluator: Evaluator, expr: SplatItem) -> Value:
    """Return the element at hand of the splat around it."""
    return evaluator.scope.lookup(SPLAT)


@rule(Splat)
def splat(evaluator: Evaluator, expr: Splat) -> Value:
    """Return a[*].b: b of every element; a value that is no list counts as a list of one, null as an empty one."""
    source, taint = bare(evaluator.eval(expr.source))
    result: Value
    if isinstance(source, Unknown):
        if isinstance(source.type, Primitive) and source.type != ANY:
            evaluator.inside({SPLAT: source}).eval(
                expr.each
            )  # a list of one; what it asks of that one may be wrong already
        result = Unknown(ANY, source.origin)
    elif isinstance(source, (tuple, ListValue, SetValue)):
        items = source if isinstance(source, tuple) else source.items
        done = tuple(evaluator.inside({SPLAT: item}).eval(expr.each) for item in items)
        evaluator.budget.produce(8 * len(done))
        result = done
        if not isinstance(source, tuple):
            of = unify([type_of(value) for value in done])
            result = ListValue(done, of) if of is not None else done
    elif isinstance(source, Null) and isinstance(source.type, (ListType, SetType, TupleType)):
        detail = "A splat goes through the elements of a list, and this list is null."
        raise evaluator.fail(expr, "null-value", "Splat of null value", detail, at=expr.source)
    elif is_null(source):
        result = ()
    else:
        result = (evaluator.inside({SPLAT: source}).eval(expr.each),)
    return secret(result) if taint else result
