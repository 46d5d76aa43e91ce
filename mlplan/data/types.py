"""Logical column types: what a contract calls a type, apart from how a file or an engine stores it. Reads no data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

TypeName = Literal["string", "bool", "int", "float", "decimal", "date", "timestamp", "timestamptz", "list", "struct"]

SIMPLE: tuple[TypeName, ...] = ("string", "bool", "int", "float", "date", "timestamp", "timestamptz")
"""Names that stand for a type without parameters, in the order in which they are explained."""

_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
_WRAPPED = re.compile(r"(list|struct)\((.*)\)", re.DOTALL)
_FIELD = re.compile(r"\s*(?:'((?:[^']|'')+)'|([A-Za-z_]\w*))\s*:\s*(.*)", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z_]\w*")
_DEEPEST = 8


@dataclass(frozen=True)
class LogicalType:
    """A type as a contract names it.

    precision, scale: of decimal. of: element of list. fields: (name, type) of struct, in order.
    """

    name: TypeName
    precision: int = 0
    scale: int = 0
    of: LogicalType | None = None
    fields: tuple[tuple[str, LogicalType], ...] = ()

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.of is not None:
            return f"list({self.of})"
        if self.fields:
            return "struct(" + ", ".join(f"{_field_name(name)}: {type_}" for name, type_ in self.fields) + ")"
        return self.name

    @property
    def numeric(self) -> bool:
        """Tell whether values can be added."""
        return self.name in ("int", "float", "decimal")

    @property
    def temporal(self) -> bool:
        """Tell whether values are moments or days."""
        return self.name in ("date", "timestamp", "timestamptz")

    @property
    def ordered(self) -> bool:
        """Tell whether `between` makes sense."""
        return self.numeric or self.temporal

    @property
    def scalar(self) -> bool:
        """Tell whether a value is one thing, not a list or struct."""
        return self.name not in ("list", "struct")


def parse_type(text: str, depth: int = 0) -> LogicalType:
    """Return the type that `text` names; ValueError says in a sentence what is wrong with it."""
    text = text.strip()
    if depth > _DEEPEST:
        raise ValueError(f"Types can be nested {_DEEPEST} deep at most.")
    for name in SIMPLE:
        if text == name:
            return LogicalType(name)
    if text == "decimal":
        raise ValueError('A decimal needs its size: write "decimal(precision,scale)", for example "decimal(12,2)".')
    if match := _DECIMAL.fullmatch(text):
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise ValueError(f"A decimal has 1 to 38 digits, of which at most all are decimals; {text} has not.")
        return LogicalType("decimal", precision, scale)
    if match := _WRAPPED.fullmatch(text):
        if match[1] == "list":
            return LogicalType("list", of=parse_type(match[2], depth + 1))
        return LogicalType("struct", fields=_struct_fields(match[2], depth))
    known = ", ".join((*SIMPLE, "decimal(p,s)", "list(type)", "struct(name: type, …)"))
    raise ValueError(f'"{text}" is not a type. Types are {known}.')


def _struct_fields(text: str, depth: int) -> tuple[tuple[str, LogicalType], ...]:
    fields: list[tuple[str, LogicalType]] = []
    for part in _split(text):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise ValueError(f'"{part.strip()}" is not a field: write "name: type", an unusual name as \'its name\'.')
        name = match[2] if match[1] is None else match[1].replace("''", "'")
        fields.append((name, parse_type(match[3], depth + 1)))
    if len({name.lower() for name, _ in fields}) != len(fields):
        raise ValueError("A struct names one of its fields twice.")
    return tuple(fields)


def _field_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else "'" + name.replace("'", "''") + "'"


def _split(text: str) -> list[str]:
    """Return the parts of `text` between commas that stand outside of parentheses and quotes."""
    parts, start, level, quoted = [], 0, 0, False
    for position, letter in enumerate(text):
        quoted ^= letter == "'"
        level += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and level == 0 and not quoted:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
