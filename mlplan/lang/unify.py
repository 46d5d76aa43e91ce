"""What types have in common: which can become which, and the one that several can become, by the preferences of Terraform
(go-cty `convert.Unify`).

Types that are not known (`any`) have no say here.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlplan.lang.types import ANY, STRING, ListType, MapType, ObjectType, Primitive, SetType, TupleType, Type


def convertible(of: Type, to: Type) -> bool:
    """Tell whether some value of type `of` has a form in type `to`."""
    if of == to or ANY in (of, to):
        return True
    match of, to:
        case Primitive(), Primitive():
            return STRING in (of, to)
        case ((ListType(inner) | SetType(inner)), (ListType(outer) | SetType(outer))):
            return convertible(inner, outer)
        case TupleType(inners), (ListType(outer) | SetType(outer)):
            return all(convertible(inner, outer) for inner in inners)
        case TupleType(inners), TupleType(outers):
            return len(inners) == len(outers) and all(map(convertible, inners, outers))
        case MapType(inner), MapType(outer):
            return convertible(inner, outer)
        case ObjectType(attributes=inside), MapType(outer):
            return all(convertible(inner, outer) for inner in inside.values())
        case MapType(inner), ObjectType(attributes=outside):
            return all(convertible(inner, outer) for outer in outside.values())
        case ObjectType(attributes=inside), ObjectType(attributes=outside, optional=optional):
            return all(
                convertible(inside[name], outer) if name in inside else name in optional
                for name, outer in outside.items()
            )
    return False


def unify(types: Sequence[Type]) -> Type | None:
    """Return the type that all of `types` can be converted to, or None. No types at all unify to any."""
    known = [of for of in types if of != ANY]
    if not known:
        return ANY
    first = known[0]
    if all(of == first for of in known):
        return first
    if all(isinstance(of, Primitive) for of in known):
        return STRING if STRING in known else None
    kinds = {type(of) for of in known}
    if kinds <= {ObjectType, MapType}:
        return _maps(known) if MapType in kinds else _objects([of for of in known if isinstance(of, ObjectType)])
    if kinds == {TupleType}:
        return _tuples([of for of in known if isinstance(of, TupleType)])
    if kinds <= {TupleType, ListType, SetType}:
        return _sequences(known, kinds)
    return None


def _maps(types: Sequence[Type]) -> Type | None:
    inner: list[Type] = []
    for of in types:
        inner.extend(of.attributes.values() if isinstance(of, ObjectType) else [of.element])  # type: ignore[union-attr]
    element = unify(inner)
    return None if element is None else MapType(element)


def _objects(types: Sequence[ObjectType]) -> Type | None:
    names = set(types[0].attributes)
    if any(set(of.attributes) != names for of in types):
        return _maps(types)
    attributes: dict[str, Type] = {}
    for name in types[0].attributes:
        found = unify([of.attributes[name] for of in types])
        if found is None:
            return None
        attributes[name] = found
    return ObjectType(attributes)


def _tuples(types: Sequence[TupleType]) -> Type | None:
    if len({len(of.elements) for of in types}) > 1:
        element = unify([item for of in types for item in of.elements])
        return None if element is None else ListType(element)
    parts: list[Type] = []
    for column in zip(*(of.elements for of in types), strict=True):
        found = unify(column)
        if found is None:
            return None
        parts.append(found)
    return TupleType(tuple(parts))


def _sequences(types: Sequence[Type], kinds: set[type]) -> Type | None:
    """Lists, sets and tuples mixed: a list if there is one, else the first set that the others fit."""
    if ListType not in kinds and TupleType in kinds:
        sets = [of for of in types if isinstance(of, SetType)]
        return next((of for of in sets if all(convertible(one, of) for one in types)), None)
    inner: list[Type] = []
    for of in types:
        inner.extend(of.elements if isinstance(of, TupleType) else [of.element])  # type: ignore[union-attr]
    element = unify(inner)
    if element is None:
        return None
    return SetType(element) if kinds == {SetType} else ListType(element)
