"""Failing rows to show: one query over the typed view when something failed, the first few rows of each check, `pii`
masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.checks import RowCheck
from mlplan.data.contract import Contract
from mlplan.data.engines import DataEngine
from mlplan.data.findings import MASK, shown_value
from mlplan.data.relation import FILE, name, text
from mlplan.data.sources import shown
from mlplan.data.trees import cast
from mlplan.data.view import FLAG, ROW, STORED, View

if TYPE_CHECKING:
    from sqlglot import Expr

MOST = 20
"""Examples of one check."""


def find_examples(
    engine: DataEngine, contract: Contract, view: View, checks: Sequence[RowCheck], root: Path, files: int
) -> list[list[dict[str, Any]]]:
    """Return the first failing rows of each check, in the order of the files. Raises QueryFailed.

    An example: {"file", "row" (from 1), "key": {column: value}, "values": {column: value}}.
    """
    picks = [(_fields(contract, view, check), check.failing.copy()) for check in checks]
    row = engine.first_rows(view.table(rows=True), picks, [name(FILE), name(ROW)], MOST)
    numbered = view.format == "parquet" or files == 1
    keys = _key(contract, view)
    return [
        [_example(contract, keys, check, found, root, numbered) for found in lists]
        for check, lists in zip(checks, row, strict=True)
    ]


def _fields(contract: Contract, view: View, check: RowCheck) -> Expr:
    """Return a row's place, key and looked-at values as one list of texts: values of any type travel the same way."""
    from sqlglot import exp

    columns = (*_key(contract, view), *check.columns)
    parts: list[Expr] = [name(FILE), cast(name(ROW), "VARCHAR")]
    for column in columns:
        value: Expr = cast(name(column), "VARCHAR")
        if column in view.flags:  # a wrong value has no typed form: show what the file holds
            value = exp.Case(ifs=[exp.If(this=name(FLAG + column), true=name(STORED + column))], default=value)
            value = exp.Coalesce(this=value, expressions=[name(STORED + column)])
        parts.append(text(MASK) if contract.columns[column].pii else value)
    return exp.Array(expressions=parts)


def _key(contract: Contract, view: View) -> tuple[str, ...]:
    return tuple(column for column in contract.key if column in view.stored)


def _example(
    contract: Contract, keys: Sequence[str], check: RowCheck, found: Sequence[str | None], root: Path, numbered: bool
) -> dict[str, Any]:
    file, row, *values = found
    example: dict[str, Any] = {"file": shown(Path(str(file)), root)}
    if numbered:
        example["row"] = int(str(row))
    if keys:
        example["key"] = _named(contract, keys, values[: len(keys)])
    example["values"] = _named(contract, check.columns, values[len(keys) :])
    return example


def _named(contract: Contract, columns: Sequence[str], values: Sequence[str | None]) -> Mapping[str, Any]:
    return {c: shown_value(_typed(contract, c, value)) for c, value in zip(columns, values, strict=True)}


def _typed(contract: Contract, column: str, value: str | None) -> Any:
    """Return a number as a number again; what is not one of its column's type stays text."""
    logical = contract.columns[column].logical
    try:
        if value is not None and logical.name == "int":
            return int(value)
        if value is not None and logical.name == "float":
            return float(value)
    except ValueError:
        return value
    return value
