"""Functions on lists, maps and sets that look at single elements or rearrange them; set algebra is in `sets`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from mlplan.lang.convert import convert, list_of
from mlplan.lang.functions import sets
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.functions.text import graphemes
from mlplan.lang.numbers import NOT_COUNTABLE, Coarse, calculate, countable, whole
from mlplan.lang.operators import equal
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, SetType, TupleType
from mlplan.lang.unify import unify
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    SetValue,
    Unknown,
    Value,
    bare,
    bare_deep,
    first_unknown,
    is_null,
    key_of,
    null_of,
    secret,
    type_of,
)

_family = Family()
FUNCTIONS = [*sets.FUNCTIONS]
_LIST = ListType(ANY)
_MAX_RANGE = 1024
_SEQUENCES = (ListType, SetType, TupleType)


def items_of(value: Value, number: int = 0, words: str = "list, set, or tuple") -> tuple[Value, ...]:
    """Return the elements of a sequence. Raises FunctionError."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, (ListValue, SetValue)):
        return value.items
    raise FunctionError(f"argument must be a {words}", number)


def ordered(value: Value, number: int = 0) -> tuple[Value, ...]:
    """Return the elements of a list or tuple; a set has none in order. Raises FunctionError."""
    if isinstance(value, SetValue):
        raise FunctionError("argument must be a list or tuple, not a set, which has no order", number)
    return items_of(value, number, "list or tuple")


def pairs_of(value: Value, number: int = 0) -> Any:
    """Return the elements of a map or object. Raises FunctionError."""
    if isinstance(value, dict):
        return value
    if isinstance(value, MapValue):
        return value.items
    if isinstance(value, Entity):
        return value.attributes
    raise FunctionError("argument must be a map or object", number)


def like(value: Value, items: Sequence[Value]) -> Value:
    """Return items as a list when `value` is a list or set, else as a tuple."""
    if isinstance(value, (ListValue, SetValue)):
        return ListValue(tuple(items), value.element)
    return tuple(items)


@_family.add(Parameter("value", ANY, marked=True), result=NUMBER)
def length(value: Value) -> Value:
    """Return the number of elements, or of letters of text."""
    inner, taint = bare(value)
    if isinstance(inner, Unknown):
        result: Value = Unknown(NUMBER, inner.origin)
    elif isinstance(inner, str):
        result = Coarse(len(graphemes(inner)))
    elif isinstance(inner, (tuple, ListValue, SetValue)):
        if isinstance(inner, SetValue) and (found := first_unknown(inner)) is not None:
            return Unknown(NUMBER, found.origin)
        result = Coarse(len(inner if isinstance(inner, tuple) else inner.items))
    elif isinstance(inner, (dict, MapValue, Entity)):
        result = Coarse(len(pairs_of(inner)))
    else:
        raise FunctionError("argument must be a string, a collection type, or a structural type", 0)
    return secret(result) if taint else result


@_family.add(("list", ListType(BOOL)), result=BOOL)
def alltrue(values: ListValue) -> Value:
    """Tell whether every element is true."""
    return all(item is True for item in values.items)


@_family.add(("list", ListType(BOOL)), result=BOOL)
def anytrue(values: ListValue) -> Value:
    """Tell whether any element is true."""
    return any(item is True for item in values.items)


@_family.add(("list", _LIST), ("size", NUMBER), result=ListType(_LIST))
def chunklist(values: ListValue, size: Decimal) -> Value:
    """Return the list in pieces of at most `size` elements."""
    count = countable(size)
    if count is None:
        raise FunctionError(f"invalid size: {NOT_COUNTABLE}", 1)
    if count < 0:
        raise FunctionError("the size argument must be positive", 1)
    items = values.items
    step = count or max(len(items), 1)
    of = ListType(values.element)
    return ListValue(tuple(ListValue(items[i : i + step], values.element) for i in range(0, len(items), step)), of)


@_family.add(rest=Parameter("vals", ANY, null=True, marked=True))
def coalesce(*values: Value) -> Value:
    """Return the first value that is neither null nor empty text; one that is not known yet ends the search."""
    if not values:
        raise FunctionError("at least one argument is required")
    bared = [bare_deep(value) for value in values]
    of = unify([type_of(value) for value, _ in bared])
    if of is None:
        raise FunctionError("all arguments must have the same type")
    for value, _ in bared:
        done = convert(value, of)
        if isinstance(done, Unknown) or (not is_null(done) and done != ""):
            return secret(done) if any(taint for _, taint in bared) else done
    raise FunctionError("no non-null, non-empty-string arguments")


@_family.add(rest=Parameter("vals", ANY, null=True, shallow=True))
def coalescelist(*values: Value) -> Value:
    """Return the first list that is not empty."""
    if not values:
        raise FunctionError("at least one argument is required")
    if not all(isinstance(value, (tuple, ListValue, Unknown)) for value in values):
        raise FunctionError("coalescelist arguments must be lists or tuples")
    for value in values:
        if isinstance(value, Unknown) or items_of(value):
            return value
    raise FunctionError("no non-null arguments")


@_family.add(("list", ListType(STRING)), result=ListType(STRING))
def compact(values: ListValue) -> Value:
    """Return the list without null and empty text."""
    return ListValue(tuple(item for item in values.items if not is_null(item) and item != ""), STRING)


@_family.add(rest=Parameter("seqs", ANY, shallow=True), scoped=True)
def concat(scope: Scope, *lists: Value) -> Value:
    """Return all elements of all lists, one after the other."""
    if not lists:
        raise FunctionError("at least one argument is required")
    rows = [ordered(one, number) for number, one in enumerate(lists)]
    scope.budget.produce(8 * sum(map(len, rows)))
    joined = tuple(item for row in rows for item in row)
    if all(isinstance(one, ListValue) for one in lists):
        of = unify([one.element for one in lists if isinstance(one, ListValue)])
        if of is not None:
            return list_of(joined, of)
    return joined


@_family.add(("list", ANY), ("value", ANY), result=BOOL)
def contains(values: Value, wanted: Value) -> Value:
    """Tell whether an element equals the value."""
    return any(_same(item, wanted) for item in items_of(values))


def _same(left: Value, right: Value) -> bool:
    return equal(left, right)


@_family.add(("list", _LIST))
def distinct(values: ListValue) -> Value:
    """Return the list without repeats, first ones kept."""
    unique: dict[object, Value] = {}
    for item in values.items:
        unique.setdefault(key_of(item), item)
    return ListValue(tuple(unique.values()), values.element)


@_family.add(Parameter("list", ANY, marked=True), ("index", NUMBER))
def element(values: Value, index: Decimal) -> Value:
    """Return an element by its number, counted round and round."""
    inner, taint = bare(values)
    if isinstance(inner, Unknown):
        result: Value = Unknown(getattr(inner.type, "element", ANY), inner.origin)
        return secret(result) if taint else result
    if isinstance(inner, SetValue):
        raise FunctionError("cannot read elements from a set, which has no order; use tolist() first", 0)
    items = items_of(inner, 0, "list or tuple")
    position = countable(index)
    if position is None:
        raise FunctionError(f"invalid index: {NOT_COUNTABLE}", 1)
    if not items:
        raise FunctionError("cannot use element function with an empty list")
    found = items[position % len(items)]
    return secret(found) if taint else found


@_family.add(Parameter("list", ANY, shallow=True), scoped=True)
def flatten(scope: Scope, values: Value) -> Value:
    """Return the elements of a list, and of the lists in it at any depth."""
    done: list[Value] = []
    taint = False
    unknown: Unknown | None = None

    def add(items: Sequence[Value]) -> None:
        nonlocal taint, unknown
        for item in items:
            scope.budget.step()
            inner, tainted = bare(item)
            if isinstance(inner, (tuple, ListValue, SetValue)):
                taint = taint or tainted
                add(items_of(inner))
                continue
            if isinstance(inner, Unknown) and (inner.type == ANY or isinstance(inner.type, _SEQUENCES)):
                unknown = inner  # it may be a list of any length
            scope.budget.produce(8)
            done.append(item)

    add(items_of(values))
    result: Value = Unknown(ANY, unknown.origin) if unknown is not None else tuple(done)
    return secret(result) if taint else result


@_family.add(("list", ANY), ("value", ANY), result=NUMBER)
def index(values: Value, wanted: Value) -> Value:
    """Return the number of the first element that equals the value."""
    items = ordered(values)
    if not items:
        raise FunctionError("cannot search an empty list")
    for position, item in enumerate(items):
        if _same(item, wanted):
            return Coarse(position)
    raise FunctionError("item not found")


@_family.add(("values", _LIST), ("keys", _LIST), ("searchset", _LIST))
def matchkeys(found: ListValue, keys_: ListValue, wanted: ListValue) -> Value:
    """Return the values whose key, at the same position, is in the search set."""
    if len(found.items) != len(keys_.items):
        raise FunctionError("length of keys and values should be equal")
    of = unify([keys_.element, wanted.element])
    if of is None:
        raise FunctionError("keys and searchset must be of the same type")
    wanted_keys = {key_of(item) for item in list_of(wanted.items, of).items}
    pairs = zip(found.items, list_of(keys_.items, of).items, strict=True)
    return ListValue(tuple(v for v, k in pairs if key_of(k) in wanted_keys), found.element)


@_family.add(Parameter("list", ANY, marked=True))
def one(values: Value) -> Value:
    """Return the only element, or null when there is none."""
    inner, taint = bare(values)
    if isinstance(inner, Unknown):
        return Unknown(ANY, inner.origin)
    items = items_of(inner, 0)
    if len(items) > 1:
        raise FunctionError("must be a list, set, or tuple value with either zero or one elements", 0)
    of = inner.element if isinstance(inner, (ListValue, SetValue)) else ANY
    found = items[0] if items else null_of(of)
    return secret(found) if taint else found


@_family.add(rest=("params", NUMBER), result=ListType(NUMBER))
def range_(*params: Decimal) -> Value:
    """Return numbers from start (0) up to limit, by step (1)."""
    if not 1 <= len(params) <= 3:
        raise FunctionError("must have one, two, or three arguments")
    start = params[0] if len(params) > 1 else Decimal(0)
    limit = params[1] if len(params) > 1 else params[0]
    step = params[2] if len(params) == 3 else Decimal(1 if start <= limit else -1)
    if start == limit:
        return ListValue((), NUMBER)
    if step == 0:
        raise FunctionError("step must not be zero", 0 if start > limit else None)
    if (limit - start) * step < 0:
        word = "greater" if step > 0 else "less"
        raise FunctionError(f"end must be {word} than start when step is {'positive' if step > 0 else 'negative'}", 0)
    whole_ones = [whole(number) for number in (start, limit, step)]
    if None not in whole_ones:
        counted = range(*(number for number in whole_ones if number is not None))
        _check_range(len(counted[: _MAX_RANGE + 1]))
        return ListValue(tuple(map(Decimal, counted)), NUMBER)
    numbers: list[Value] = []
    number = start
    while (number < limit) if step > 0 else (number > limit):
        _check_range(len(numbers) + 1)
        numbers.append(number)
        number = calculate("+", number, step)
    return ListValue(tuple(numbers), NUMBER)


def _check_range(count: int) -> None:
    if count > _MAX_RANGE:
        raise FunctionError(
            f"more than {_MAX_RANGE} values were generated; either decrease the difference or increase the step"
        )


@_family.add(Parameter("list", ANY, shallow=True))
def reverse(values: Value) -> Value:
    """Return the elements backwards."""
    return like(values, items_of(values)[::-1])


@_family.add(Parameter("list", ANY, shallow=True), ("start_index", NUMBER), ("end_index", NUMBER))
def slice_(values: Value, start: Decimal, end: Decimal) -> Value:
    """Return the elements from `start` up to, not with, `end`."""
    if isinstance(values, SetValue):
        raise FunctionError(
            "a set has no order, so it cannot be sliced; use tolist() first if any order will do",
            0,
        )
    items = items_of(values, 0, "list or tuple value")
    first, last = countable(start), countable(end)
    if first is None or last is None:
        raise FunctionError(NOT_COUNTABLE, 1 if first is None else 2)
    if first < 0:
        raise FunctionError("start index must not be less than zero", 1)
    if first > last:
        raise FunctionError("start index must not be greater than end index", 1)
    if last > len(items):
        raise FunctionError("end index must not be greater than the length of the list", 2)
    return like(values, items[first:last])


@_family.add(Parameter("list", ListType(STRING), marked=True), result=ListType(STRING))
def sort(values: Value) -> Value:
    """Return text sorted by code points; when one text is not known yet, only how many there are is known."""
    inner, taint = bare_deep(values)
    items = inner.items if isinstance(inner, ListValue) else ()
    if any(map(is_null, items)):
        raise FunctionError("given list element is null; a null string cannot be sorted", 0)
    unknown = first_unknown(inner)
    if isinstance(inner, Unknown):
        result: Value = inner
    elif unknown is not None:
        result = ListValue((Unknown(STRING, unknown.origin),) * len(items), STRING)
    else:
        result = ListValue(tuple(sorted(items, key=str)), STRING)
    return secret(result) if taint else result


FUNCTIONS += _family.functions
