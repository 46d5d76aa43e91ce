"""What the types of arguments forbid, although their values are not known yet: such a call is refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlplan.lang.functions.registry import FunctionError
from mlplan.lang.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
    friendly,
)
from mlplan.lang.unify import convertible, unify

Check = Callable[[Sequence[Type]], None]
_ORDERED = (ListType, TupleType)
_SEQUENCE = (ListType, TupleType, SetType)
_MAPPING = (MapType, ObjectType)


def _of(kinds: tuple[type, ...], why: str, *positions: int) -> Check:
    """Return a check that arguments (all, when no positions are given) are of certain kinds."""

    def check(types: Sequence[Type]) -> None:
        for number, given in enumerate(types):
            if (not positions or number in positions) and given != ANY and not isinstance(given, kinds):
                raise FunctionError(f"{why}, not {friendly(given)}", number)

    return check


def _length(types: Sequence[Type]) -> None:
    if types[0] != STRING:
        _of((*_SEQUENCE, *_MAPPING), "argument must be a string, a collection type, or a structural type")(types)


def _coalesce(types: Sequence[Type]) -> None:
    if unify(types) is None:
        raise FunctionError("all arguments must have the same type")


def _parseint(types: Sequence[Type]) -> None:
    if types[0] not in (ANY, STRING):
        raise FunctionError(f"first argument must be a string, not {friendly(types[0])}", 0)


def _transpose(types: Sequence[Type]) -> None:
    if not convertible(types[0], MapType(ListType(STRING))):
        raise FunctionError("map of list of string required", 0)


def _converts(to: Type, what: str) -> Check:
    def check(types: Sequence[Type]) -> None:
        if not convertible(types[0], to):
            raise FunctionError(f"cannot convert {friendly(types[0])} to {what}", 0)

    return check


CHECKS: Mapping[str, Check] = {
    "coalesce": _coalesce,
    "concat": _of(_ORDERED, "all arguments must be lists or tuples"),
    "element": _of(_ORDERED, "argument must be a list or tuple", 0),
    "keys": _of(_MAPPING, "argument must be a map or object", 0),
    "length": _length,
    "lookup": _of(_MAPPING, "lookup() requires a map as the first argument", 0),
    "merge": _of(_MAPPING, "arguments must be maps or objects"),
    "one": _of(_SEQUENCE, "argument must be a list, set, or tuple", 0),
    "parseint": _parseint,
    "reverse": _of(_SEQUENCE, "argument must be a list, set, or tuple", 0),
    "setproduct": _of(_SEQUENCE, "a set or a list is required"),
    "slice": _of(_ORDERED, "argument must be a list or tuple value", 0),
    "tobool": _converts(BOOL, "bool"),
    "tolist": _converts(ListType(ANY), "list of any single type"),
    "tomap": _converts(MapType(ANY), "map of any single type"),
    "tonumber": _converts(NUMBER, "number"),
    "toset": _converts(SetType(ANY), "set of any single type"),
    "tostring": _converts(STRING, "string"),
    "transpose": _transpose,
    "values": _of(_MAPPING, "values() requires a map as the first argument", 0),
    "zipmap": _of(_ORDERED, "values argument must be a list or tuple value", 1),
}
