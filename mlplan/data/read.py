"""Rows of a snapshot as plain values, for those who need a few of them: the same rows every time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.contract import Column, Contract
from mlplan.data.engines import open_engine
from mlplan.data.relation import FILE, call, name, text
from mlplan.data.snapshot import Snapshot
from mlplan.data.trees import cast, is_there, negated
from mlplan.data.view import ROW, View, open_view

if TYPE_CHECKING:
    import pandas as pd
    from sqlglot import Expr

_NEUTRAL: dict[str, Any] = {
    "string": "",
    "bool": False,
    "int": 0,
    "float": 0.0,
    "decimal": 0.0,
    "date": "2000-01-01",
    "timestamp": "2000-01-01T00:00:00",
    "timestamptz": "2000-01-01T00:00:00Z",
}


def sample_rows(
    contract: Contract, snapshot: Snapshot, root: Path, rows: int = 64, seed: int = 0, cache: Path | None = None
) -> list[dict[str, Any]]:
    """Return at most `rows` rows as JSON values, chosen by the hash of their place and the seed, in a fixed order.

    Label and key are left out. A `pii` column has the same made-up value in every row: what is sampled is stored and
    shown. Rows in which a value is not of its type are passed over. Raises QueryFailed.
    """
    from sqlglot import exp

    columns = [c for c in contract.columns.values() if not c.label and c.name not in contract.key and c.logical.scalar]
    paths = snapshot.paths(root)
    with open_engine(contract, paths, cache) as engine:
        view = open_view(engine, contract, snapshot.format, paths)
        wanted = [c.name for c in columns if c.name in view.stored]
        chosen = exp.select(*[name(c) for c in wanted]).from_(view.table(wanted, rows=True))
        for condition in _usable(view, [c for c in columns if c.name in view.stored]):
            chosen = chosen.where(condition)
        chosen = chosen.order_by(place_hash(root, seed), name(FILE), name(ROW)).limit(rows)
        found = engine.rows(chosen)
    return [_row(columns, dict(zip(wanted, values, strict=True))) for values in found]


def sample_frame(
    contract: Contract, snapshot: Snapshot, root: Path, columns: Sequence[str], rows: int, seed: int = 0,
    cache: Path | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return columns of at most `rows` rows, the same every time, numbers as floats and everything else as text.

    Raises QueryFailed.
    """
    from sqlglot import exp

    paths = snapshot.paths(root)
    with open_engine(contract, paths, cache) as engine:
        view = open_view(engine, contract, snapshot.format, paths)
        wanted = [c for c in columns if c in view.stored]
        picked = [exp.alias_(comparable(name(c), contract.columns[c]), c, quoted=True) for c in wanted]
        query = exp.select(*picked).from_(view.table(wanted, flags=False, rows=True))
        return engine.frame(query.order_by(place_hash(root, seed), name(FILE), name(ROW)).limit(rows))


def comparable(value: Expr, column: Column) -> Expr:
    """Return a value as it is compared: a number as a float, anything else as text."""
    return cast(value, "DOUBLE" if column.logical.numeric else "VARCHAR")


def place_hash(root: Path, seed: int) -> Expr:
    """Return the hash of a row's place (file below the root, position) and a seed: an order that is random and fixed."""
    from sqlglot import exp

    start = exp.Literal.number(len(str(root)) + 2)
    relative = exp.Substring(this=name(FILE), start=start)
    return call("HASH", relative, name(ROW), text(str(seed)))


def _usable(view: View, columns: Sequence[Column]) -> list[Expr]:

    from mlplan.data.view import FLAG

    conditions: list[Expr] = [negated(name(FLAG + c.name)) for c in columns if c.name in view.flags]
    return conditions + [is_there(name(c.name)) for c in columns if not c.nullable]


def _row(columns: Sequence[Column], values: dict[str, Any]) -> dict[str, Any]:
    return {c.name: made_up(c) if c.pii else plain(values.get(c.name), c) for c in columns}


def plain(value: Any, column: Column) -> Any:
    """Return a value of the view as JSON has it; what JSON cannot say is missing."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if column.logical.name == "timestamptz" and value.tzinfo is None else "")
    return value.isoformat() if isinstance(value, date) else value


def made_up(column: Column) -> Any:
    """Return a value that keeps the column's type, set and range and says nothing about anybody."""
    if column.nullable:
        return None
    if column.one_of:
        return column.one_of[0]
    low, high = column.between or (None, None)
    end = low if low is not None else high
    return end if end is not None else _NEUTRAL[column.logical.name]
