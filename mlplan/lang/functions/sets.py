"""Set algebra: setintersection, setproduct, setsubtract, setunion."""

from __future__ import annotations

from itertools import product

from mlplan.lang.convert import convert, set_of
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, SetType, TupleType, Type
from mlplan.lang.unify import unify
from mlplan.lang.values import ListValue, SetValue, Value, elements, key_of, type_of

_family = Family()
FUNCTIONS = _family.functions
_SET = SetType(ANY)


def _common(sets: tuple[SetValue, ...]) -> Type:
    of = unify([one.element for one in sets])
    if of is None:
        raise FunctionError("all sets must have the same element type")
    return of


@_family.add(("first_set", _SET), rest=("other_sets", _SET))
def setintersection(first: SetValue, *others: SetValue) -> Value:
    """Return the elements that are in every set."""
    of = _common((first, *others))
    kept = set_of(first.items, of)
    for other in others:
        wanted = {key_of(item) for item in elements(set_of(other.items, of))}
        kept = set_of(tuple(item for item in elements(kept) if key_of(item) in wanted), of)
    return kept


@_family.add(("first_set", _SET), rest=("other_sets", _SET))
def setunion(first: SetValue, *others: SetValue) -> Value:
    """Return the elements that are in any set."""
    sets = (first, *others)
    return set_of(tuple(item for one in sets for item in one.items), _common(sets))


@_family.add(("a", _SET), ("b", _SET))
def setsubtract(first: SetValue, second: SetValue) -> Value:
    """Return the elements of the first set that are not in the second."""
    of = _common((first, second))
    taken = {key_of(item) for item in elements(set_of(second.items, of))}
    return set_of(tuple(item for item in elements(set_of(first.items, of)) if key_of(item) not in taken), of)


@_family.add(rest=Parameter("sets", ANY, shallow=True), scoped=True)
def setproduct(scope: Scope, *given: Value) -> Value:
    """Return every combination of one element of each."""
    if len(given) < 2:
        raise FunctionError("at least two arguments are required")
    rows: list[tuple[Value, ...]] = []
    count = 1
    for number, one in enumerate(given):
        if not isinstance(one, (tuple, ListValue, SetValue)):
            raise FunctionError("a set or a list is required", number)
        rows.append(tuple(elements(one)))
        count *= len(rows[-1])
    scope.budget.step(count)
    scope.budget.produce(count * 16 * len(given))
    types: list[Type] = []
    for number, one in enumerate(given):
        found = (
            one.element if isinstance(one, (ListValue, SetValue)) else unify([type_of(item) for item in rows[number]])
        )
        if found is None:
            raise FunctionError("all elements must be of the same type", number)
        types.append(found)
        rows[number] = tuple(convert(item, found) for item in rows[number])
    of = TupleType(tuple(types))
    combined = tuple(product(*rows))
    if any(isinstance(one, SetValue) for one in given):
        return set_of(combined, of)
    return ListValue(combined, of)
