"""A first contract from data: types, missing values, sets and keys as they are, for somebody to read and correct.

It says what one snapshot shows, which is less than what its owner knows: ranges are written only where zero is an end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.contract import Column, Contract
from mlplan.data.engine import Engine
from mlplan.data.nested import element_type, field_types
from mlplan.data.relation import FILE, call, name, text
from mlplan.data.sources import Source
from mlplan.data.types import LogicalType, parse_type
from mlplan.data.view import open_view

if TYPE_CHECKING:
    from sqlglot import Expr

_MOST_CATEGORIES = 24
_ROWS_A_CATEGORY = 20
"""A text with few values in many rows is a category."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_BY_STORED = {
    "BOOLEAN": "bool", "FLOAT": "float", "DOUBLE": "float", "DATE": "date", "VARCHAR": "string", "UUID": "string",
    "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz", "BLOB": "string", "TIME": "string", "JSON": "string",
}  # fmt: skip
_MARKERS = (
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "NULL",
    "Null",
    "null",
    "None",
    "none",
    "?",
    "-",
    ".",
    "..",
)
"""Texts that often stand for no value: believed when a column without them is of numbers, dates or truth values."""
_PERSONAL = re.compile(r"(e.?mail|phone|ssn|passport|address|birth|surname|last.?name|first.?name|iban)", re.IGNORECASE)


def infer(source: Source, cache: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments of a `data_contract` block and notes for its reader.

    Raises QueryFailed when the data cannot be read.
    """
    with Engine(source.files, cache) as engine:
        types, missing, unsaid = _types(engine, source)
        columns = {column: Column(column, logical, nullable=True) for column, logical in types.items()}
        contract = Contract(
            "data_contract.inferred", source.text, format=source.format, missing=missing, columns=columns
        )
        view = open_view(engine, contract, source.format, source.files)
        rows, facts = _facts(engine, view.table(flags=False), columns)
        sets = _sets(engine, view.table(flags=False), columns, rows, facts)
    described = {c: _described(columns[c], rows, facts[c], sets.get(c)) for c in columns}
    key = _key(columns, rows, facts)
    time = next((c for c in columns if columns[c].logical.name in ("timestamp", "timestamptz")), None)
    time = time or next((c for c in columns if columns[c].logical.name == "date"), None)
    arguments = {
        "source": source.text, "format": None, "key": [key] if key else None, "time": time,
        "min_rows": _rounded_down(rows), "strict": not unsaid, "missing": list(missing) or None, "columns": described,
    }  # fmt: skip
    notes = [
        f"Inferred from {rows:,} rows. Read it, correct it, and say who owns the data: owner, description, fresh_within."
    ]
    if missing:
        notes.append(f"Taken for missing values, in every column: {', '.join(missing)}.")
    if unsaid:
        notes.append(f"Left out, because no type says what they hold: {', '.join(unsaid)}.")
    personal = [c for c in described if described[c].get("pii")]
    if personal:
        notes.append(f"Marked as personal by their names: {', '.join(personal)}.")
    return arguments, notes


def _types(engine: Engine, source: Source) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    """Return the type of each column, the texts that stand for no value, and the columns that no type can say."""
    relation = engine.read(source.format, source.files)
    stored = {column: kind for column, kind in engine.columns(relation) if column != FILE}
    texts = [c for c, kind in stored.items() if kind == "VARCHAR"] if source.format == "csv" else []
    found = {c: logical for c, kind in stored.items() if (logical := _sayable(kind, source.format)) is not None}
    of_texts = _types_of_texts(engine, relation, texts)
    missing = _missing(engine, relation, [c for c in texts if of_texts[c] != "string"])
    return {**found, **of_texts}, missing, [c for c in stored if c not in found]


def _missing(engine: Engine, relation: Expr, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the markers that stand in columns which are of something else than text without them."""
    from sqlglot import exp

    found: set[str] = set()
    for start in range(0, len(columns), 200):
        parts: list[Expr] = []
        for index, marker in enumerate(_MARKERS):
            anywhere = exp.or_(*(exp.EQ(this=name(c), expression=text(marker)) for c in columns[start : start + 200]))
            parts.append(exp.alias_(exp.CountIf(this=anywhere), f"m{index}"))
        (numbers,) = engine.named(exp.select(*parts).from_(relation.copy()))
        found |= {marker for index, marker in enumerate(_MARKERS) if numbers[f"m{index}"]}
    return tuple(marker for marker in _MARKERS if marker in found)


def _sayable(stored: str, format: str) -> str | None:
    """Return the declared type, None where there is none: maps, documents of mixed kinds, objects without members."""
    try:
        return None if format == "json" and "JSON" in stored else _logical(stored)
    except ValueError:
        return None


def _logical(stored: str) -> str:
    """Return the declared type of what is stored; ValueError where none says it."""
    if match := _DECIMAL.fullmatch(stored):
        return f"decimal({match[1]},{match[2]})"
    element, fields = element_type(stored), field_types(stored)
    if element is not None:
        return str(parse_type(f"list({_logical(element)})"))
    if fields is not None:
        inner = tuple((field, parse_type(_logical(kind))) for field, kind in fields.items())
        return str(parse_type(str(LogicalType("struct", fields=inner))))
    if "INT" in stored:
        return "int"
    if stored not in _BY_STORED and not stored.startswith("ENUM("):
        raise ValueError(f"no type says what {stored} is")
    return _BY_STORED.get(stored, "string")


def _types_of_texts(engine: Engine, relation: Expr, columns: Sequence[str]) -> dict[str, str]:
    """Return the narrowest type that every text of a column is written in, markers of missing values left out."""
    from sqlglot import exp

    markers = [text(marker) for marker in _MARKERS]
    found: dict[str, str] = {}
    for start in range(0, len(columns), 200):
        chosen = columns[start : start + 200]
        parts: list[Expr] = []
        for index, column in enumerate(chosen):
            marked = exp.In(this=name(column), expressions=[marker.copy() for marker in markers])
            raw = exp.case().when(marked, exp.null()).else_(name(column))
            parts.append(exp.alias_(exp.Count(this=raw.copy()), f"n{index}"))
            for kind in ("BIGINT", "DOUBLE", "DATE", "TIMESTAMP"):
                cast = exp.TryCast(this=raw.copy(), to=exp.DataType.build(kind))
                parts.append(exp.alias_(exp.Count(this=cast), f"{kind.lower()}{index}"))
            fraction = exp.CountIf(this=exp.RegexpLike(this=raw.copy(), expression=text(r"[.eE]")))
            padded = exp.CountIf(this=exp.RegexpLike(this=raw.copy(), expression=text(r"^[+-]?0\d")))
            zoned = exp.CountIf(this=exp.RegexpLike(this=raw.copy(), expression=text(r"\d(Z|z|[+-]\d{2}(:?\d{2})?)$")))
            words = exp.CountIf(this=exp.In(this=exp.Lower(this=raw.copy()), expressions=[text("true"), text("false")]))
            clock = exp.CountIf(this=exp.RegexpLike(this=raw.copy(), expression=text(r"\d:\d")))
            parts += [exp.alias_(fraction, f"f{index}"), exp.alias_(words, f"b{index}"), exp.alias_(clock, f"c{index}")]
            parts += [exp.alias_(padded, f"p{index}"), exp.alias_(zoned, f"z{index}")]
        (numbers,) = engine.named(exp.select(*parts).from_(relation.copy()))
        found |= {column: _text_type(numbers, index) for index, column in enumerate(chosen)}
    return found


def _text_type(numbers: Mapping[str, Any], index: int) -> str:
    n = numbers[f"n{index}"]
    if n == 0:
        return "string"
    if numbers[f"b{index}"] == n:
        return "bool"
    if numbers[f"double{index}"] == n:
        if numbers[f"p{index}"]:
            return "string"  # numbers do not begin with zeros: it is a code, as a postcode
        return "int" if numbers[f"bigint{index}"] == n and numbers[f"f{index}"] == 0 else "float"
    if numbers[f"date{index}"] == n and numbers[f"c{index}"] == 0:
        return "date"
    if numbers[f"timestamp{index}"] < n:
        return "string"
    return "timestamptz" if numbers[f"z{index}"] == n else "timestamp"


def _facts(engine: Engine, table: Expr, columns: Mapping[str, Column]) -> tuple[int, dict[str, dict[str, Any]]]:
    from sqlglot import exp

    facts: dict[str, dict[str, Any]] = {}
    rows = 0
    names = list(columns)
    for start in range(0, max(len(names), 1), 200):
        chosen = names[start : start + 200]
        parts: list[Expr] = [exp.alias_(exp.Count(this=exp.Star()), "rows")]
        for index, column in enumerate(chosen):
            parts.append(exp.alias_(exp.Count(this=name(column)), f"n{index}"))
            if columns[column].logical.scalar:
                parts.append(exp.alias_(call("APPROX_COUNT_DISTINCT", name(column)), f"d{index}"))
            if columns[column].logical.numeric:
                parts.append(exp.alias_(exp.Min(this=name(column)), f"low{index}"))
        (numbers,) = engine.named(exp.select(*parts).from_(table.copy()))
        rows = int(numbers["rows"])
        for index, column in enumerate(chosen):
            facts[column] = {part: numbers.get(f"{part}{index}") for part in ("n", "d", "low")}
    unsure = [c for c in names if _may_be_key(columns[c], rows, facts[c])]
    if unsure:
        exact = [exp.alias_(exp.Count(this=exp.Distinct(expressions=[name(c)])), f"d{i}") for i, c in enumerate(unsure)]
        (numbers,) = engine.named(exp.select(*exact).from_(table.copy()))
        for index, column in enumerate(unsure):
            facts[column]["d"] = numbers[f"d{index}"]
    return rows, facts


def _may_be_key(column: Column, rows: int, facts: Mapping[str, Any]) -> bool:
    whole = column.logical.name in ("string", "int")
    return whole and rows > 1 and facts["n"] == rows and (facts["d"] or 0) > 0.9 * rows


def _key(columns: Mapping[str, Column], rows: int, facts: Mapping[str, Mapping[str, Any]]) -> str | None:
    unique = [c for c in columns if _may_be_key(columns[c], rows, facts[c]) and facts[c]["d"] == rows]
    named = [c for c in unique if re.search(r"(^|_)(id|key|uuid|no|number)$", c, re.IGNORECASE)]
    return next(iter(named or unique), None)


def _sets(
    engine: Engine, table: Expr, columns: Mapping[str, Column], rows: int, facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    from sqlglot import exp

    sets: dict[str, list[str]] = {}
    for column, described in columns.items():
        few = described.logical.name == "string" and 0 < (facts[column]["d"] or 0) <= _MOST_CATEGORIES
        if few and rows >= _ROWS_A_CATEGORY * facts[column]["d"] and not _PERSONAL.search(column):
            query = exp.select(name(column)).distinct().from_(table.copy()).where(name(column).is_(exp.null()).not_())
            values = sorted(str(value) for (value,) in engine.rows(query.limit(2 * _MOST_CATEGORIES)))
            if len(values) <= _MOST_CATEGORIES:
                sets[column] = values
    return sets


def _described(column: Column, rows: int, facts: Mapping[str, Any], values: Sequence[str] | None) -> dict[str, Any]:
    low = facts["low"]
    return {
        "type": str(parse_type(column.type)),
        "nullable": facts["n"] < rows or None,
        "between": [0, None] if low is not None and low >= 0 else None,
        "one_of": list(values) if values else None,
        "pii": bool(_PERSONAL.search(column.name)) or None,
    }


def _rounded_down(rows: int) -> int | None:
    """Return half the rows with one digit: enough to notice that data is missing, not to be in the way."""
    half = rows // 2
    magnitude = 10 ** max(len(str(half)) - 1, 0)
    return half // magnitude * magnitude or None
