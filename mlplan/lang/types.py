"""Types of values, as users write them in type constraints: string, list(string), object({a = optional(number)}).

Conversion between types is in `convert`; reading a constraint from an expression is in `constraint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Primitive:
    """string, number, bool, or `any` (a type that is not known yet)."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListType:
    """A list: any number of elements of one type."""

    element: Type

    def __str__(self) -> str:
        return f"list({self.element})"


@dataclass(frozen=True, slots=True)
class SetType:
    """A set: unordered, every element once."""

    element: Type

    def __str__(self) -> str:
        return f"set({self.element})"


@dataclass(frozen=True, slots=True)
class MapType:
    """A map: string keys, values of one type."""

    element: Type

    def __str__(self) -> str:
        return f"map({self.element})"


@dataclass(frozen=True, slots=True)
class TupleType:
    """A tuple: every element has its own type."""

    elements: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple([{', '.join(map(str, self.elements))}])"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object: named attributes with their own types. `optional` may be left out; `defaults` then fill them (raw values)."""

    attributes: Mapping[str, Type]
    optional: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.attributes)), self.optional))

    def __str__(self) -> str:
        def entry(name: str, of: Type) -> str:
            return f"{name}=optional({of})" if name in self.optional else f"{name}={of}"

        return "object({" + ", ".join(entry(name, self.attributes[name]) for name in sorted(self.attributes)) + "})"


Type: TypeAlias = Primitive | ListType | SetType | MapType | TupleType | ObjectType

STRING = Primitive("string")
NUMBER = Primitive("number")
BOOL = Primitive("bool")
ANY = Primitive("any")


def is_whole(of: Type) -> bool:
    """Tell whether no part of the type is `any`."""
    match of:
        case Primitive():
            return of is not ANY and of != ANY
        case ListType(element) | SetType(element) | MapType(element):
            return is_whole(element)
        case TupleType(elements):
            return all(map(is_whole, elements))
        case ObjectType(attributes=attributes):
            return all(map(is_whole, attributes.values()))


def friendly(of: Type) -> str:
    """Return a type in words, as messages have it: "list of string"."""
    match of:
        case Primitive("any"):
            return "dynamic"
        case ListType(element):
            return f"list of {friendly(element)}"
        case SetType(element):
            return f"set of {friendly(element)}"
        case MapType(element):
            return f"map of {friendly(element)}"
        case TupleType():
            return "tuple"
        case ObjectType():
            return "object"
    return str(of)
