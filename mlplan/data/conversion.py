"""From a stored column to a declared type: the value a check looks at, and the condition under which a stored value is
wrong.

Stored types are named as DuckDB names them. Moments become times without zone in UTC, NaN becomes a missing value, as
for everyone who trains on the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplan.data.relation import call, text
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
    if stored == "JSON":
        return _from_json(raw, logical)
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
    from sqlglot import exp

    return exp.TryCast(this=raw.copy(), to=exp.DataType.build(to, dialect="duckdb"))


def _plain_text(raw: Expr) -> Expr:
    return _try_cast(raw, "VARCHAR")


def _nan_is_missing(raw: Expr) -> Expr:
    from sqlglot import exp

    return exp.Nullif(this=raw.copy(), expression=exp.cast(text("NaN"), "DOUBLE"))


def _lost(raw: Expr, value: Expr, compare: Expr | None = None) -> Expr:
    """Return the condition that a value is there but could not become `value`, or not unchanged as `compare` says."""
    from sqlglot import exp

    problem: Expr = value.copy().is_(exp.null())
    if compare is not None:
        problem = exp.paren(exp.or_(problem, compare.neq(value.copy())))
    return exp.paren(exp.and_(raw.copy().is_(exp.null()).not_(), problem))


def _from_text(raw: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    if logical.name == "string":
        return Conversion(raw)
    if logical.temporal:
        return _moment_from_text(raw, logical)
    value = _cast(raw, logical)
    if logical.name in ("int", "decimal"):  # engines round what does not fit: compare with the number as written
        return Conversion(value, _lost(raw, value, _try_cast(raw, "DOUBLE")))
    wrong = _lost(raw, value)
    return Conversion(_nan_is_missing(value) if logical.name == "float" else value, exp.paren(wrong))


def _moment_from_text(raw: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    if logical.name == "date":
        value = _cast(raw, logical)
        return Conversion(value, _lost(raw, value))
    value = exp.cast(_try_cast(raw, "TIMESTAMPTZ"), "TIMESTAMP")
    wrong = _lost(raw, value)
    if logical.name == "timestamptz":
        zoned = exp.RegexpLike(this=raw.copy(), expression=text(_ZONE))
        wrong = exp.or_(wrong, zoned.not_())
    return Conversion(value, wrong)


def _from_json(raw: Expr, logical: LogicalType) -> Conversion:
    from sqlglot import exp

    kind = call("JSON_TYPE", raw.copy())
    plain = call("JSON_EXTRACT_STRING", raw.copy(), text("$"))
    if not logical.scalar:
        value = _cast(raw, logical)
        return Conversion(value, _lost(raw, value))
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
    wrong = other_kind if inner.wrong is None else exp.or_(other_kind, exp.paren(inner.wrong))
    present = raw.copy().is_(exp.null()).not_()
    value = exp.Case(ifs=[exp.If(this=other_kind.copy(), true=exp.null())], default=inner.value)
    return Conversion(value, exp.and_(present, exp.paren(wrong)))


def _nested(raw: Expr, stored: str, logical: LogicalType) -> Conversion:
    is_list, is_struct = stored.endswith("]"), stored.startswith("STRUCT") and not stored.endswith("]")
    value = _cast(raw, logical)
    if (logical.name == "list" and is_list) or (logical.name == "struct" and is_struct):
        return Conversion(value, _lost(raw, value))
    return Conversion(value, mismatch=True)


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
