"""Lists and structs: taking the engine's name of a stored type apart, and converting what is inside, value by value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlplan.data.relation import call, text
from mlplan.data.trees import both, either, grouped, is_there, negated, try_cast
from mlplan.data.types import LogicalType

if TYPE_CHECKING:
    from sqlglot import Expr

    from mlplan.data.conversion import Conversion

Convert = Callable[["Expr", str, LogicalType], "Conversion"]
"""From (raw, stored type, declared type)."""

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^\s"]+))\s+(.*)', re.DOTALL)


def element_type(stored: str) -> str | None:
    """Return the type of a list's elements, None when it is no list: "BIGINT[]", "DOUBLE[3]"."""
    match = re.fullmatch(r"(.*)\[\d*\]", stored, re.DOTALL)
    return match[1] if match else None


def field_types(stored: str) -> dict[str, str] | None:
    """Return name -> type of a struct's fields, None when it is no struct: 'STRUCT(a INTEGER, "b c" VARCHAR[])'."""
    if not stored.startswith("STRUCT(") or not stored.endswith(")"):
        return None
    fields: dict[str, str] = {}
    for part in _split(stored[len("STRUCT(") : -1]):
        match = _FIELD.fullmatch(part.strip())
        if match is None:
            return None
        fields[match[1].replace('""', '"') if match[1] is not None else match[2]] = match[3].strip()
    return fields


def _split(inner: str) -> list[str]:
    """Return the parts between commas outside of parentheses and quotes."""
    parts, start, level, quoted = [], 0, 0, False
    for position, letter in enumerate(inner):
        if letter == '"':
            quoted = not quoted
        elif not quoted:
            level += (letter == "(") - (letter == ")")
            if letter == "," and level == 0:
                parts.append(inner[start:position])
                start = position + 1
    return [*parts, inner[start:]]


def convert_list(raw: Expr, items: Expr, inner_stored: str, logical: LogicalType, convert: Convert) -> Conversion:
    """Return how to look at a list: `items` has its elements, each converted on its own. The list is wrong when one of
    them is.
    """
    from sqlglot import exp

    from mlplan.data.conversion import Conversion

    assert logical.of is not None
    variable = f"x{_depth(logical)}"
    inner = convert(exp.column(variable), inner_stored, logical.of)
    value = call("LIST_TRANSFORM", items.copy(), _lambda(variable, inner.value))
    if inner.wrong is None:
        return Conversion(value, None, inner.mismatch)
    each = call("LIST_TRANSFORM", items.copy(), _lambda(variable, inner.wrong))
    some = exp.Coalesce(this=call("LIST_BOOL_OR", each), expressions=[exp.false()])
    return Conversion(_unless(some, value), grouped(both(_present(raw), some.copy())), inner.mismatch)


def convert_struct(
    raw: Expr, field: Callable[[str], tuple[Expr, str] | None], logical: LogicalType, convert: Convert
) -> Conversion:
    """Return how to look at a struct: `field` gives a field's (value, stored type), None when the struct has no such
    field. The struct is wrong when one of its fields is.
    """
    from sqlglot import exp

    from mlplan.data.conversion import Conversion, sql_type

    values: dict[str, Expr] = {}
    wrong: list[Expr] = []
    mismatch = False
    for name, declared in logical.fields:
        found = field(name)
        if found is None:
            mismatch = True
            values[name] = try_cast(exp.null(), sql_type(declared))
            continue
        inner = convert(*found, declared)
        values[name] = inner.value
        mismatch = mismatch or inner.mismatch
        if inner.wrong is not None:
            wrong.append(exp.Coalesce(this=inner.wrong, expressions=[exp.false()]))
    packed = exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(n, quoted=True), expression=v) for n, v in values.items()]
    )
    value = exp.Case(ifs=[exp.If(this=_present(raw), true=packed)])
    if not wrong:
        return Conversion(value, None, mismatch)
    some = either(*wrong)
    return Conversion(_unless(some, value), grouped(both(_present(raw), grouped(some.copy()))), mismatch)


def json_items(raw: Expr) -> Expr:
    """Return the elements of a JSON array as a list of JSON."""

    return try_cast(raw.copy(), "JSON[]")


def json_field(raw: Expr, name: str) -> Expr:
    """Return a member of a JSON object."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return call("JSON_EXTRACT", raw.copy(), text(pointer))


def _unless(condition: Expr, value: Expr) -> Expr:
    from sqlglot import exp

    return exp.Case(ifs=[exp.If(this=negated(grouped(condition.copy())), true=value)])


def _present(raw: Expr) -> Expr:

    return is_there(raw.copy())


def _lambda(variable: str, body: Expr) -> Expr:
    from sqlglot import exp

    return exp.Lambda(this=body.copy(), expressions=[exp.to_identifier(variable)])


def _depth(logical: LogicalType) -> int:
    inside = [logical.of] if logical.of is not None else [type_ for _, type_ in logical.fields]
    return 1 + max((_depth(type_) for type_ in inside), default=0)
