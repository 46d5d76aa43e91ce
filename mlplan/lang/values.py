"""Values of the language. Plain Python where that is exact, own classes where the language says more than Python does.

string `str`, bool `bool`, number `Decimal`, null `None`, tuple `tuple`, object `dict` (never changed once made), and the
classes below. `Secret` never holds a `Secret`. Conversion between types is in `convert`, printing in `show`.
Inside an evaluation a null may know its type (`Null`); outside, null is `None` alone: see `settle`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from mlplan.lang.hidden import remember
from mlplan.lang.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, ObjectType, SetType, TupleType, Type


@dataclass(frozen=True, slots=True)
class ListValue:
    """A list: elements of one type."""

    items: tuple[Value, ...]
    element: Type = ANY


@dataclass(frozen=True, slots=True)
class MapValue:
    """A map: string keys (kept sorted), values of one type."""

    items: Mapping[str, Value]
    element: Type = ANY

    def __hash__(self) -> int:
        return hash(key_of(self))


@dataclass(frozen=True, slots=True)
class SetValue:
    """A set: elements of one type, each once, in the language's order. Make it with `set_of`."""

    items: tuple[Value, ...]
    element: Type = ANY


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only a run can know. `origin` says in words what it waits for: "known after training of model.fraud"."""

    type: Type = ANY
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Null:
    """A null that knows its type, as `tostring(null)` does. A null of any type is `None`."""

    type: Type


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not be shown. Everything computed from it is a Secret too. Its repr hides it."""

    value: Value

    def __post_init__(self) -> None:
        remember(self.value)

    def __repr__(self) -> str:
        return "Secret((sensitive))"


@dataclass(frozen=True, slots=True)
class Entity:
    """An object that also is somebody: `identity` (an instance's address) survives references, `for` and conditionals."""

    identity: str
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.identity)


Value: TypeAlias = (
    str
    | bool
    | Decimal
    | tuple["Value", ...]
    | dict[str, "Value"]
    | ListValue
    | MapValue
    | SetValue
    | Unknown
    | Null
    | Secret
    | Entity
    | None
)


_SURROGATE = re.compile("[\ud800-\udfff]")


def normal(text: str) -> str:
    """Return text as the language keeps it: in Unicode's normal form C, so that equal letters are equal text."""
    if text.isascii():
        return text
    if _SURROGATE.search(text):
        text = _SURROGATE.sub("\ufffd", text)
    return unicodedata.normalize("NFC", text)


def is_null(value: Value) -> bool:
    """Tell whether the value is null, of any type or of one; a secret null is not."""
    return value is None or isinstance(value, Null)


def null_of(of: Type) -> Value:
    """Return the null of a type."""
    return None if of == ANY else Null(of)


def secret(value: Value) -> Secret:
    """Return `value` as a secret; a secret stays one."""
    return value if isinstance(value, Secret) else Secret(value)


def bare(value: Value) -> tuple[Value, bool]:
    """Return the value without its outermost taint, and whether it had one."""
    if isinstance(value, Secret):
        return value.value, True
    return value, False


def bare_deep(value: Value) -> tuple[Value, bool]:
    """Return the value with no taint at any depth, and whether there was one."""
    if not holds_secret(value):
        return value, False
    return _strip(value), True


def _strip(value: Value) -> Value:
    return _strip(value.value) if isinstance(value, Secret) else _rebuilt(value, _strip)


def _rebuilt(value: Value, change: Callable[[Value], Value]) -> Value:
    """Return a container with every part changed; anything else as it is."""
    match value:
        case tuple():
            return tuple(map(change, value))
        case dict():
            return {k: change(v) for k, v in value.items()}
        case ListValue(items, element):
            return ListValue(tuple(map(change, items)), element)
        case SetValue(items, element):
            return SetValue(tuple(map(change, items)), element)
        case MapValue(pairs, element):
            return MapValue({k: change(v) for k, v in pairs.items()}, element)
        case Secret(inner):
            return Secret(change(inner))
    return value


def elements(value: Value) -> Collection[Value]:
    """Return the values directly inside a container; nothing for anything else.

    An entity is one value, whatever it has: its attributes may need a run, or each other, and are looked at when they are read.
    """
    match value:
        case tuple():
            return value
        case dict():
            return value.values()
        case ListValue(items) | SetValue(items):
            return items
        case MapValue(pairs):
            return pairs.values()
        case Secret(inner):
            return (inner,)
    return ()


def holds_secret(value: Value) -> bool:
    """Tell whether the value or anything in it is secret."""
    return isinstance(value, Secret) or any(map(holds_secret, elements(value)))


def first_unknown(value: Value) -> Unknown | None:
    """Return an unknown that the value is or holds, if there is one."""
    if isinstance(value, Unknown):
        return value
    for item in elements(value):
        found = first_unknown(item)
        if found is not None:
            return found
    return None


def is_known(value: Value) -> bool:
    """Tell whether no part of the value is unknown."""
    return first_unknown(value) is None


def key_of(value: Value) -> Any:
    """Return a hashable that is equal for equal values of one type, and tells `true` from `1`. Taint is left out."""
    match value:
        case Secret(inner):
            return key_of(inner)
        case bool():
            return ("bool", value)
        case Decimal():
            return ("number", value)
        case str():
            return value
        case None | Null():
            return None
        case tuple() | ListValue():
            return ("list", tuple(map(key_of, elements(value))))
        case SetValue(items):
            return ("set", frozenset(map(key_of, items)))
        case dict():
            return ("map", tuple(sorted((k, key_of(v)) for k, v in value.items())))
        case MapValue(pairs):
            return ("map", tuple(sorted((k, key_of(v)) for k, v in pairs.items())))
        case Entity(identity):
            return ("entity", identity)
    return ("unknown", id(value))


def type_of(value: Value) -> Type:
    """Return the type of a value; null has type any, and an entity too: its attributes are looked at when they are read."""
    match value:
        case bool():
            return BOOL
        case str():
            return STRING
        case Decimal():
            return NUMBER
        case tuple():
            return TupleType(tuple(map(type_of, value)))
        case dict():
            return ObjectType({k: type_of(v) for k, v in value.items()})
        case ListValue(_, element):
            return ListType(element)
        case SetValue(_, element):
            return SetType(element)
        case MapValue(_, element):
            return MapType(element)
        case Unknown(of) | Null(of):
            return of
        case Secret(inner):
            return type_of(inner)
    return ANY


def settle(value: Value) -> Value:
    """Return the value as it leaves an evaluation: nulls without type. Raises ArithmeticError for what is not finite."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ArithmeticError
        return Decimal(value)
    if isinstance(value, Null):
        return None
    if any(map(_unsettled, elements(value))):
        return _rebuilt(value, settle)
    return value


def _unsettled(value: Value) -> bool:
    if value is None or isinstance(value, (str, bool)):
        return False
    if isinstance(value, Decimal):
        return type(value) is not Decimal or not value.is_finite()
    return isinstance(value, Null) or any(map(_unsettled, elements(value)))


def to_python(value: Value) -> Any:
    """Return plain Python: whole numbers as int, others as float; tuples and dicts. Unknown, Secret and Entity stay."""
    match value:
        case Null():
            return None
        case Decimal():
            return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
        case tuple() | ListValue() | SetValue():
            return tuple(map(to_python, elements(value)))
        case dict():
            return {k: to_python(v) for k, v in value.items()}
        case MapValue(pairs):
            return {k: to_python(v) for k, v in pairs.items()}
        case Secret(inner):
            return Secret(to_python(inner))
    return value


def from_python(obj: Any) -> Value:
    """Return the value of plain Python data, as JSON would give it. Raises TypeError for anything else."""
    match obj:
        case (
            None
            | Null()
            | bool()
            | str()
            | Decimal()
            | ListValue()
            | SetValue()
            | MapValue()
            | Unknown()
            | Secret()
            | Entity()
        ):
            return obj
        case int():
            return Decimal(obj)
        case float():
            return Decimal(repr(obj))
        case list() | tuple():
            return tuple(map(from_python, obj))
        case Mapping():
            return {str(k): from_python(obj[k]) for k in sorted(obj, key=str)}
    raise TypeError(f"{type(obj).__name__} has no form in the language")
