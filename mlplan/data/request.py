"""The request schema of a contract: what a model trained on its data can be asked with. `artifact` keeps and checks it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mlplan.data.contract import Column, Contract


def request_schema(contract: Contract, drop: Collection[str] = ()) -> dict[str, Any]:
    """Return the columns of a request as plain JSON: those of the contract without its label and without `drop`."""
    columns = [c for c in contract.columns.values() if not c.label and c.name not in drop]
    return {"columns": [column_document(column) for column in columns]}


def column_document(column: Column) -> dict[str, Any]:
    """Return what a server must know of a column."""
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "one_of": list(column.one_of) if column.one_of is not None else None,
        "between": list(column.between) if column.between is not None else None,
        "pii": column.pii,
    }
