"""From a stored column to a declared type: the value a check looks at, and the condition under which a stored value is
wrong.

Stored types are named as DuckDB names them. Moments become times without zone in UTC, NaN becomes a missing value, as
for everyone who trains on the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplan.data.nested import convert_list, convert_struct, element_type, field_types, json_field, json_items
from mlplan.data.relation import call, text
from mlplan.data.trees import both, cast, differs, either, equal, grouped, is_null, is_there, negated, try_cast
from mlplan.data.types import LogicalType

if TYPE_CHECKING:
    from sqlglot import Expr

_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_FLOATS = {"FLOAT", "DOUBLE"}
_TEXTS = {"VARCHAR", "ENUM", "UUID"}
_MOMENTS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_ZONED = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS WITH TIME ZONE"}
_ZONE = r"(Z|z|[+-]\d{2}(:?\d{2})?)$"
_SQL = {"string": "VARCHAR", "bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", "date": "DATE"}
_SQL |= {"timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"}


@dataclass(frozen=True)
class Conversion:
    """How to look at one column.

    value: of the declared type, null where it is missing or wrong. wrong: true where a stored value is not of the
    declared type, None when that cannot be. mismatch: the file stores another type altogether.
    """

    value: Expr
    wrong: Expr | None = None
    mismatch: bool = False


def sql_type(logical: LogicalType) -> str:
    """Return the declared type as DuckDB spells it."""
    if logical.name == "decimal":
        return f"DECIMAL({logical.precision},{logical.scale})"
    if logical.of is not None:
        return f"{sql_type(logical.of)}[]"
    if logical.fields:
        inner = ", ".join(f'"{name}" {sql_type(type_)}' for name, type_ in logical.fields)
        return f"STRUCT({inner})"
    return _SQL[logical.name]


def convert(raw: Expr, stored: str, logical: LogicalType, *, as_text: bool = False) -> Conversion:
    """Return how to look at column `raw`, which the file stores as `stored`. as_text: the format has no types (CSV,
    partitions).
    """
    base = re.split(r"\(", stored, maxsplit=1)[0].strip()
    if base.strip('"') == "NULL":  # a column that was written without a single value has any type
        return Conversion(_cast(raw, logical))
    if stored == "JSON":
        return _from_json(raw, logical)
    found = _convert(raw, stored, base, logical, as_text)
    if found.mismatch and found.wrong is None:
        return Conversion(found.value, _lost(raw, found.value), mismatch=True)
    return found


def _convert(raw: Expr, stored: str, base: str, logical: LogicalType, as_text: bool) -> Conversion:
    if as_text:
        return _from_text(raw, logical) if logical.scalar else Conversion(_cast(raw, logical), mismatch=True)
    if not logical.scalar or base == "STRUCT" or stored.endswith("]"):
        return _nested(raw, stored, logical)
    if base in _TEXTS and logical.name != "string":
        return Conversion(_from_text(_plain_text(raw), logical).value, mismatch=True)
    handler = {"int": _int, "float": _float, "decimal": _decimal, "date": _date}.get(logical.name)
    if handler is not None:
        return handler(raw, base, stored, logical)
    if logical.name in ("timestamp", "timestamptz"):
        return _moment(raw, base, logical)
    accepted = base in _TEXTS if logical.name == "string" else base == "BOOLEAN"
    return Conversion(raw if accepted and base not in ("ENUM", "UUID") else _cast(raw, logical), mismatch=not accepted)


def _cast(raw: Expr, logical: LogicalType) -> Expr:
    return _try_cast(raw, sql_type(logical))


def _try_cast(raw: Expr, to: str) -> Expr:

    return try_cast(raw.copy(), to)


def _plain_text(raw: Expr) -> Expr:
    return _try_cast(raw, "VARCHAR")


def _nan_is_missing(raw: Expr) -> Expr:
    from sqlglot import exp

    # not NULLIF: the engine drops a comparison with NaN where a file's statistics, which leave NaN out, seem to exclude it
    nan = exp.Anonymous(this="ISNAN", expressions=[raw.copy()])
    return exp.Case(ifs=[exp.If(this=nan, true=exp.null())], default=raw.copy())


def _lost(raw: Expr, value: Expr, compare: Expr | None = None) -> Expr:
    """Return the condition that a value is there but could not become `value`, or not unchanged as `compare` says."""

    problem: Expr = is_null(value.copy())
    if compare is not None:  # a text such as 0x1F is read as a number by some casts and not by others
        problem = grouped(either(problem, is_null(compare.copy()), differs(compare, value.copy())))
    return grouped(both(is_there(raw.copy()), problem))


def _from_text(raw: Expr, logical: LogicalType) -> Conversion:

    if logical.name == "string":
        return Conversion(raw)
    if logical.temporal:
        return _moment_from_text(raw, logical)
    value = _cast(raw, logical)
    if logical.name in ("int", "decimal"):  # engines round what does not fit: compare with the number as written
        return Conversion(value, _lost(raw, value, _try_cast(raw, "DOUBLE")))
    wrong = _lost(raw, value)
    return Conversion(_nan_is_missing(value) if logical.name == "float" else value, grouped(wrong))


def _moment_from_text(raw: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    if logical.name == "date":
        value = _cast(raw, logical)
        return Conversion(value, _lost(raw, value))
    value = cast(_try_cast(raw, "TIMESTAMPTZ"), "TIMESTAMP")
    wrong = _lost(raw, value)
    if logical.name == "timestamptz":
        zoned = exp.RegexpLike(this=raw.copy(), expression=text(_ZONE))
        wrong = either(wrong, negated(zoned))
    return Conversion(value, wrong)


def _from_json(raw: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    kind = call("JSON_TYPE", raw.copy())
    plain = call("JSON_EXTRACT_STRING", raw.copy(), text("$"))
    if not logical.scalar:
        return _nested_json(raw, kind, logical)
    inner = _from_text(plain, logical)
    allowed: dict[str, tuple[str, ...]] = {
        "string": ("VARCHAR",),
        "bool": ("BOOLEAN",),
        "date": ("VARCHAR",),
        "timestamp": ("VARCHAR",),
    }
    allowed |= {"timestamptz": ("VARCHAR",), "decimal": ("VARCHAR", "BIGINT", "UBIGINT", "DOUBLE", "HUGEINT")}
    kinds = allowed.get(logical.name, ("BIGINT", "UBIGINT", "DOUBLE", "HUGEINT"))
    other_kind = exp.Not(this=exp.In(this=kind, expressions=[text(k) for k in kinds]))
    wrong = other_kind if inner.wrong is None else either(other_kind, grouped(inner.wrong))
    value = exp.Case(ifs=[exp.If(this=other_kind.copy(), true=exp.null())], default=inner.value)
    return Conversion(value, both(_json_present(raw, kind), grouped(wrong)))


def _json_present(raw: Expr, kind: Expr) -> Expr:
    """Return the condition that there is a value: inside of lists and objects, null is a document of its own."""

    return grouped(both(is_there(raw.copy()), differs(kind.copy(), text("NULL"))))


def _nested_json(raw: Expr, kind: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    def inner(element: Expr, stored: str, declared: LogicalType) -> Conversion:
        return _from_json(element, declared)

    wanted = equal(kind.copy(), text("ARRAY" if logical.of is not None else "OBJECT"))
    shaped = exp.Case(ifs=[exp.If(this=wanted, true=raw.copy())])
    if logical.of is not None:
        found = convert_list(shaped, json_items(shaped), "JSON", logical, inner)
    else:
        found = convert_struct(shaped, lambda name: (json_field(shaped, name), "JSON"), logical, inner)
    parts: list[Expr] = [negated(grouped(wanted.copy()))]
    if found.wrong is not None:
        parts.append(exp.Coalesce(this=found.wrong, expressions=[exp.false()]))
    return Conversion(found.value, grouped(both(_json_present(raw, kind), grouped(either(*parts)))))


def _nested(raw: Expr, stored: str, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    element, fields = element_type(stored), field_types(stored)
    if logical.of is not None and element is not None:
        return convert_list(raw, raw, element, logical, convert)
    if logical.fields and fields is not None:

        def field(name: str) -> tuple[Expr, str] | None:
            inside = call("STRUCT_EXTRACT", raw.copy(), text(name))
            return (inside, fields[name]) if name in fields else None

        return convert_struct(raw, field, logical, convert)
    return Conversion(_try_cast(exp.null(), sql_type(logical)), mismatch=True)


def _int(raw: Expr, base: str, stored: str, logical: LogicalType) -> Conversion:
    if base in _INTEGERS:
        return Conversion(raw)
    value = _cast(raw, logical)
    if base in _FLOATS:  # whole numbers with gaps are stored as floating point by many programs
        number = _nan_is_missing(raw)
        return Conversion(value, _lost(number, value, raw.copy()))
    return Conversion(value, _lost(raw, value, raw.copy()) if base == "DECIMAL" else None, mismatch=base != "DECIMAL")


def _float(raw: Expr, base: str, stored: str, logical: LogicalType) -> Conversion:
    if base in _FLOATS:
        return Conversion(_nan_is_missing(raw))
    return Conversion(_cast(raw, logical), mismatch=base not in _INTEGERS and base != "DECIMAL")


def _decimal(raw: Expr, base: str, stored: str, logical: LogicalType) -> Conversion:
    value = _cast(raw, logical)
    if base == "DECIMAL":
        match = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", stored)
        if (
            match
            and int(match[2]) <= logical.scale
            and int(match[1]) - int(match[2]) <= logical.precision - logical.scale
        ):
            return Conversion(value)
        return Conversion(value, _lost(raw, value, raw.copy()))
    if base in _FLOATS:
        return Conversion(value, _lost(_nan_is_missing(raw), value, raw.copy()))
    return Conversion(value, _lost(raw, value) if base in _INTEGERS else None, mismatch=base not in _INTEGERS)


def _date(raw: Expr, base: str, stored: str, logical: LogicalType) -> Conversion:
    if base == "DATE":
        return Conversion(raw)
    value = _cast(raw, logical)
    if base in _MOMENTS:
        return Conversion(value, _lost(raw, value, raw.copy()))
    return Conversion(value, mismatch=True)


def _moment(raw: Expr, base: str, logical: LogicalType) -> Conversion:
    value = _try_cast(raw, "TIMESTAMP")
    if base in _ZONED:
        return Conversion(value)
    accepted = logical.name == "timestamp" and (base in _MOMENTS or base == "DATE")
    return Conversion(raw if base == "TIMESTAMP" and accepted else value, mismatch=not accepted)
