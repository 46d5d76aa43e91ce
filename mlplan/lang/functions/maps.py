"""Functions on maps and objects: keys, values, lookup, merge, transpose, zipmap."""

from __future__ import annotations

from mlplan.lang.convert import ConversionError, convert, map_of
from mlplan.lang.functions.collection import ordered, pairs_of
from mlplan.lang.functions.registry import Family, FunctionError, Parameter
from mlplan.lang.scope import Scope
from mlplan.lang.types import ANY, STRING, ListType, MapType, Type
from mlplan.lang.values import ListValue, MapValue, Unknown, Value, bare, is_null, secret

_family = Family()
FUNCTIONS = _family.functions


@_family.add(Parameter("inputMap", ANY, marked=True))
def keys(values: Value) -> Value:
    """Return the keys of a map or object, sorted."""
    inner, taint = bare(values)
    if isinstance(inner, Unknown):
        return Unknown(ListType(STRING), inner.origin)
    names = tuple(sorted(pairs_of(inner)))
    result: Value = ListValue(names, STRING) if isinstance(inner, MapValue) else names
    return secret(result) if taint else result


@_family.add(Parameter("mapping", ANY, marked=True))
def values(mapping: Value) -> Value:
    """Return the values of a map or object, in the order of the keys."""
    inner, taint = bare(mapping)
    if isinstance(inner, Unknown):
        return Unknown(ANY, inner.origin)
    pairs = pairs_of(inner)
    found = tuple(pairs[key] for key in sorted(pairs))
    result: Value = ListValue(found, inner.element) if isinstance(inner, MapValue) else found
    return secret(result) if taint else result


@_family.add(
    Parameter("inputMap", ANY, marked=True),
    Parameter("key", STRING, marked=True),
    rest=Parameter("default", ANY, True, True),
)
def lookup(mapping: Value, key: Value, *default: Value) -> Value:
    """Return the value of a key, or the default."""
    inner, taint = bare(mapping)
    name, key_taint = bare(key)
    if len(default) > 1:
        raise FunctionError("lookup() takes two or three arguments")
    for value in (inner, name):
        if isinstance(value, Unknown):
            return Unknown(ANY, value.origin)
    pairs = pairs_of(inner)
    if name in pairs:
        found = pairs[name]
    elif default:
        found = _default(inner, default[0])
    else:
        raise FunctionError(
            "the given object has no attribute of that name"
            if not isinstance(inner, MapValue)
            else "the given key is not in the map",
            None if isinstance(inner, MapValue) else 0,
        )
    return secret(found) if taint or key_taint else found


def _default(mapping: Value, default: Value) -> Value:
    if not isinstance(mapping, MapValue) or mapping.element == ANY:
        return default
    try:
        return convert(default, mapping.element)
    except ConversionError:
        raise FunctionError("the default value must have the same type as the map elements", 2) from None


@_family.add(rest=Parameter("maps", ANY, null=True, marked=True), scoped=True)
def merge(scope: Scope, *maps: Value) -> Value:
    """Return all pairs of all maps and objects; later ones win, null ones do not count."""
    done: dict[str, Value] = {}
    taint = False
    kinds: list[Value] = []
    for number, one in enumerate(maps):
        inner, tainted = bare(one)
        taint = taint or tainted
        if is_null(inner):
            continue
        if isinstance(inner, Unknown):
            return secret(Unknown(ANY, inner.origin)) if taint else Unknown(ANY, inner.origin)
        kinds.append(inner)
        pairs = pairs_of(inner, number)
        scope.budget.produce(64 * len(pairs))
        done.update(pairs)
    result: Value = {key: done[key] for key in sorted(done)}
    if kinds and all(isinstance(kind, MapValue) for kind in kinds):
        of: list[Type] = [kind.element for kind in kinds if isinstance(kind, MapValue)]
        if all(one == of[0] for one in of):
            result = map_of(done, of[0])
    return secret(result) if taint else result


@_family.add(("values", ANY))
def transpose(mapping: Value) -> Value:
    """Return a map of lists turned round: from each text to the keys it was listed under."""
    try:
        given = convert(mapping, MapType(ListType(STRING)))
    except ConversionError as error:
        raise FunctionError(str(error), 0) from None
    turned: dict[str, list[Value]] = {}
    for key, names in pairs_of(given).items():
        if is_null(names) or any(map(is_null, names.items)):
            raise FunctionError("the lists must not be null, nor hold null")
        for name in names.items:
            turned.setdefault(str(name), []).append(key)
    lists: dict[str, Value] = {name: ListValue(tuple(sorted(turned[name], key=str)), STRING) for name in sorted(turned)}
    return MapValue(lists, ListType(STRING))


@_family.add(("keys", ListType(STRING)), Parameter("values", ANY, shallow=True))
def zipmap(names: ListValue, found: Value) -> Value:
    """Return a map from keys to values of the same position."""
    items = ordered(found, 1)
    if len(names.items) != len(items):
        raise FunctionError(f"number of keys ({len(names.items)}) does not match number of values ({len(items)})")
    if any(map(is_null, names.items)):
        raise FunctionError("keys must not be null", 0)
    pairs = {str(name): item for name, item in zip(names.items, items, strict=True)}
    done = {name: pairs[name] for name in sorted(pairs)}
    return MapValue(done, found.element) if isinstance(found, ListValue) else done
