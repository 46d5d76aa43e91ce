"""Values as people read them: as `console` prints them, and short for messages. Secrets print as (sensitive value)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from mlplan.lang.numbers import format_number
from mlplan.lang.types import ListType, MapType, Primitive, SetType, Type, friendly
from mlplan.lang.values import Entity, ListValue, MapValue, Null, Secret, SetValue, Unknown, Value, elements

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_BRIEF = 60


class Verbatim(str):
    """Text that `show` prints as it is, such as the answer of `type`."""

    __slots__ = ()


def quote(text: str) -> str:
    """Return text in quotes, as `console` shows it; ${ stays as it is."""
    out = []
    for char in text:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif not char.isprintable():
            out.append(_escaped(ord(char)))
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _escaped(code: int) -> str:
    if code < 0x80:
        return {7: "\\a", 8: "\\b", 11: "\\v", 12: "\\f"}.get(code, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show(value: Value, indent: int = 0) -> str:
    """Return a value as `terraform console` prints it."""
    match value:
        case Secret(Unknown()) | Unknown():
            return "(known after apply)"
        case Secret():
            return "(sensitive value)"
        case None:
            return "null"
        case Null(of):
            return _show_null(of)
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format_number(value)
        case Verbatim():
            return str(value)
        case str():
            return _show_text(value, indent)
        case tuple():
            return _show_items(value, indent)
        case ListValue(items):
            return f"tolist({_show_items(items, indent)})"
        case SetValue(items):
            return f"toset({_show_items(items, indent)})"
        case dict():
            return _show_pairs(value, indent)
        case MapValue(pairs):
            return f"tomap({_show_pairs(pairs, indent)})"
        case Entity(_, attributes):
            return _show_pairs(attributes, indent)
    raise TypeError(f"{type(value).__name__} is no value of the language")


def _show_text(value: str, indent: int) -> str:
    if "\n" not in value:
        return quote(value)
    marker = "EOT"
    lines = value.split("\n")
    while any(line.strip() == marker for line in lines):
        marker += "_"
    opener = "<<-" if indent else "<<"
    pad = " " * indent
    return f"{opener}{marker}\n" + "\n".join(pad + line for line in lines) + f"\n{pad}{marker}"


def _show_null(of: Type) -> str:
    match of:
        case Primitive(name):
            return f"to{name}(null)"
        case ListType(element) | SetType(element) | MapType(element):
            word = {ListType: "list", SetType: "set"}.get(type(of), "map")
            return f"to{word}(null) /* of {friendly(element)} */"
    return f"null /* {friendly(of)} */"


def _show_items(items: tuple[Value, ...], indent: int) -> str:
    if not items:
        return "[]"
    pad = " " * (indent + 2)
    lines = "".join(f"{pad}{show(item, indent + 2)},\n" for item in items)
    return f"[\n{lines}{' ' * indent}]"


def _show_pairs(pairs: Mapping[str, Value], indent: int) -> str:
    if not pairs:
        return "{}"
    pad = " " * (indent + 2)
    lines = "".join(f"{pad}{_show_text(key, indent + 2)} = {show(pairs[key], indent + 2)}\n" for key in sorted(pairs))
    return f"{{\n{lines}{' ' * indent}}}"


def show_brief(value: Value) -> str:
    """Return a value for a message: one line, short, a container by its size, a secret as (sensitive)."""
    match value:
        case Secret():
            return "(sensitive)"
        case Unknown(_, origin):
            return origin or "known after apply"
        case Entity(identity):
            return identity
        case str():
            return quote(value if len(value) <= _BRIEF else value[: _BRIEF - 1] + "…")
        case dict() | MapValue():
            count = len(tuple(elements(value)))
            return f"object with {count} attribute{'' if count == 1 else 's'}" if count else "{}"
        case tuple() | ListValue() | SetValue():
            count = len(tuple(elements(value)))
            return f"list of {count} element{'' if count == 1 else 's'}" if count else "[]"
    return show(value)[:_BRIEF]
