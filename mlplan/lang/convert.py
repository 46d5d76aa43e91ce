"""Conversion of values to types, by the rules of Terraform (go-cty `convert`). What types have in common is in `unify`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from mlplan.lang.numbers import format_number, parse_number
from mlplan.lang.types import (
    ANY,
    BOOL,
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
from mlplan.lang.unify import convertible, unify
from mlplan.lang.values import (
    Entity,
    ListValue,
    MapValue,
    Null,
    Secret,
    SetValue,
    Unknown,
    Value,
    bare_deep,
    elements,
    from_python,
    holds_secret,
    is_null,
    key_of,
    null_of,
    type_of,
)


class ConversionError(Exception):
    """A value has no form in a type. `path`: where inside the value, as [0].name. The text names types, never values that
    may be secret."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path.lstrip('.')}: {message}" if path else message)
        self.message = message
        self.path = path

    def within(self, step: str) -> ConversionError:
        """Return the same error as seen from outside."""
        return ConversionError(self.message, step + self.path)


def required(of: Type) -> str:
    """Return the sentence part that asks for a type."""
    words = friendly(of)
    return (
        f"{words} required"
        if isinstance(of, (Primitive, TupleType, ObjectType)) is False
        else f"{_article(words)} {words} is required"
    )


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


_OWN: Mapping[type, Type] = {str: STRING, Decimal: NUMBER, bool: BOOL}


def convert(value: Value, to: Type) -> Value:
    """Return `value` as type `to`; null and unknown stay what they are. Raises ConversionError."""
    own = _OWN.get(value.__class__)
    if own is not None and (to is own or to is ANY):
        return value  # most are what they should be
    match value:
        case Secret(inner):
            return Secret(convert(inner, to)) if not isinstance(inner, Secret) else convert(inner, to)
        case Unknown(of, origin):
            if of != ANY and to != ANY and not convertible(of, to):
                raise ConversionError(required(to))
            return Unknown(of if to == ANY else to, origin)
        case None:
            return null_of(to)
        case Null(of):
            if to != ANY and not convertible(of, to):
                raise ConversionError(required(to))
            return value if to == ANY else Null(to)
    match to:
        case Primitive("any"):
            return value
        case Primitive():
            return _primitive(value, to)
        case ListType(element):
            if isinstance(value, ListValue) and element in (ANY, value.element):
                return value
            return list_of(_elements(value, to), element)
        case SetType(element):
            if isinstance(value, SetValue) and element in (ANY, value.element):
                return value
            return set_of(_elements(value, to), element)
        case MapType(element):
            if isinstance(value, MapValue) and element in (ANY, value.element):
                return value
            return map_of(_pairs(value, to), element)
        case TupleType(types):
            return _tuple(value, to, types)
        case ObjectType():
            return _object(value, to)


def _primitive(value: Value, to: Primitive) -> Value:
    if isinstance(value, bool):
        if to == BOOL:
            return value
        if to == STRING:
            return "true" if value else "false"
    elif isinstance(value, Decimal):
        if to == NUMBER:
            return value
        if to == STRING:
            return format_number(value)
    elif isinstance(value, str):
        return _from_text(value, to)
    raise ConversionError(required(to))


def _from_text(value: str, to: Primitive) -> Value:
    if to == STRING:
        return value
    if to == NUMBER:
        number = parse_number(value)
        if number is None:
            raise ConversionError("a number is required")
        return number
    if value in ("true", "1"):
        return True
    if value in ("false", "0"):
        return False
    raise ConversionError("a bool is required")


def _elements(value: Value, to: Type) -> Sequence[Value]:
    if isinstance(value, (tuple, ListValue, SetValue)):
        return tuple(elements(value))
    raise ConversionError(required(to))


def _pairs(value: Value, to: Type) -> Mapping[str, Value]:
    match value:
        case dict():
            return value
        case MapValue(items):
            return items
        case Entity(_, attributes):
            return attributes
    raise ConversionError(required(to))


def _common(values: Iterable[Value], element: Type, words: str) -> Type:
    if element != ANY:
        return element
    found = unify([type_of(value) for value in values])
    if found is None:
        raise ConversionError(f"all {words} elements must have the same type")
    return found


def _each(values: Sequence[Value], element: Type) -> tuple[Value, ...]:
    done = []
    for index, value in enumerate(values):
        try:
            done.append(convert(value, element))
        except ConversionError as error:
            raise error.within(f"[{index}]") from None
    return tuple(done)


def list_of(values: Sequence[Value], element: Type = ANY) -> ListValue:
    """Return a list of values, converted to one type. Raises ConversionError."""
    element = _common(values, element, "list")
    return ListValue(_each(values, element), element)


def map_of(pairs: Mapping[str, Value], element: Type = ANY) -> MapValue:
    """Return a map, values converted to one type. Raises ConversionError."""
    element = _common(pairs.values(), element, "map")
    done = {}
    for key in sorted(pairs):
        try:
            done[key] = convert(pairs[key], element)
        except ConversionError as error:
            raise error.within(f'["{key}"]') from None
    return MapValue(done, element)


def set_of(values: Sequence[Value], element: Type = ANY) -> Value:
    """Return a set: converted, without repeats, in order. A secret element makes the set secret, as nothing else could say
    which element it was. Raises ConversionError."""
    element = _common(values, element, "set")
    tainted = any(map(holds_secret, values))
    if tainted:
        values = tuple(bare_deep(value)[0] for value in values)
    unique: dict[object, Value] = {}
    for value in _each(values, element):
        unique.setdefault(key_of(value), value)
    done = SetValue(tuple(sorted(unique.values(), key=order_key)), element)
    return Secret(done) if tainted else done


def order_key(value: Value) -> tuple[int, object]:
    """Return what sets are sorted by: false before true, numbers by size, text by code points, the rest by print."""
    if isinstance(value, bool):
        return (0, value)
    if isinstance(value, Decimal):
        return (1, value)
    if isinstance(value, str):
        return (2, value.encode("utf-8", "surrogatepass"))
    return (3, repr(key_of(value)) if not isinstance(value, Unknown) else "~")


def _tuple(value: Value, to: Type, types: tuple[Type, ...]) -> Value:
    if not isinstance(value, tuple):
        raise ConversionError(required(to))
    if len(value) != len(types):
        raise ConversionError(f"a tuple of {len(types)} elements is required")
    done = []
    for index, (item, of) in enumerate(zip(value, types, strict=True)):
        try:
            done.append(convert(item, of))
        except ConversionError as error:
            raise error.within(f"[{index}]") from None
    return tuple(done)


def _object(value: Value, to: ObjectType) -> Value:
    pairs = _pairs(value, to)
    done: dict[str, Value] = {}
    missing = [name for name in sorted(to.attributes) if name not in pairs and name not in to.optional]
    if missing:
        words = "attribute" if len(missing) == 1 else "attributes"
        names = ", ".join(f'"{name}"' for name in missing)
        raise ConversionError(f"{words} {names} {'is' if len(missing) == 1 else 'are'} required")
    for name in sorted(to.attributes):
        item = pairs.get(name)
        if is_null(item) and name in to.defaults:
            item = from_python(to.defaults[name])
        try:
            done[name] = convert(item, to.attributes[name])
        except ConversionError as error:
            raise error.within(f".{name}") from None
    if isinstance(value, Entity):
        return Entity(value.identity, done)
    return done
