"""Values to data frames: the one place that says which dtype a column has, in training, evaluation and serving alike.

A model that sees other dtypes in production than in training answers wrongly without an error; so `mlplan.job`, the
batch predictor and the server all come through here. Missing values are NaN (NaT for times), never None.

| contract | not nullable | nullable |
|---|---|---|
| string | object of str | object of str and NaN |
| integer | int64 | float64 |
| number, decimal | float64 | float64 |
| bool | bool | float64 (1.0, 0.0, NaN) |
| timestamp, date | datetime64[us], UTC, without a zone | the same |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, np.dtype[Any]]


def array_of(values: Sequence[Any], column: Column) -> Array:
    """Return the values of one column as the model sees them.

    values: Python values as JSON gives them (times may be ISO 8601 text). Shapes: result (len(values),).
    Raises: ArtifactError `wrong-type`.
    """
    try:
        return _array_of(values, column)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(
            "wrong-type",
            "A value does not have the column's type",
            f'Column "{column.name}" is declared as {column.type}{", nullable" if column.nullable else ""}, '
            f"but one of its values is not: {error}.",
        ) from error


def _array_of(values: Sequence[Any], column: Column) -> Array:
    kind = column.kind
    if kind == "string":
        result = np.empty(len(values), dtype=object)
        result[:] = [np.nan if value is None else value for value in values]
        return result
    if kind == "number" or (column.nullable and kind in ("integer", "boolean")):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if kind == "integer":
        return np.array(values, dtype=np.int64)
    if kind == "boolean":
        if any(value is None for value in values):  # numpy would read None as False
            raise ValueError("null is not allowed")
        return np.array(values, dtype=np.bool_)
    return np.array([_moment(value) for value in values], dtype="datetime64[us]")


def _moment(value: Any) -> Any:
    """Return a time without a zone, in UTC, for numpy."""
    if value is None:
        return np.datetime64("NaT")
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date | datetime):
        return value
    raise TypeError(f"{value!r} is not a time")


def frame_of_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Return a frame of `columns`, in their order, from rows of plain values; an absent key is a missing value."""
    return frame_of_arrays({c.name: array_of([row.get(c.name) for row in rows], c) for c in columns}, len(rows))


def frame_of_arrays(arrays: Mapping[str, Array], rows: int) -> pd.DataFrame:
    """Return a frame over `arrays` with their dtypes and, where pandas allows it, without its 0.2 ms of inference."""
    # what pandas' own readers use; the public way infers `str` dtypes, and checks again what is checked already
    make = getattr(pd.DataFrame, "_from_arrays", None)
    if make is not None:
        made = make(list(arrays.values()), _index(tuple(arrays)), pd.RangeIndex(rows), verify_integrity=False)
        assert isinstance(made, pd.DataFrame)
        return made
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in arrays.items()})


@lru_cache(maxsize=64)  # an index never changes, and making one is a tenth of a small frame
def _index(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(names)


def frame_of_table(table: pa.Table, columns: Sequence[Column]) -> pd.DataFrame:
    """Return a frame of an Arrow table that already has the types of `columns` (see `reading`)."""
    return frame_of_arrays({c.name: _array_of_arrow(table.column(c.name), c) for c in columns}, table.num_rows)


def _array_of_arrow(values: pa.ChunkedArray, column: Column) -> Array:
    import pyarrow as pa

    kind = column.kind
    if values.null_count and not column.nullable and kind in ("integer", "boolean"):
        raise ArtifactError(
            "unexpected-null",
            "A missing value where the contract allows none",
            f'Column "{column.name}" has {values.null_count} missing values, but the contract does not say `nullable '
            "= true`. "
            "Run the contract's checks to see the rows, or declare the column nullable.",
        )
    if kind == "number" or (column.nullable and kind in ("integer", "boolean")):
        if pa.types.is_boolean(values.type):
            values = values.cast(pa.int8())
        return _writable(values.cast(pa.float64()).to_numpy()).astype(np.float64, copy=False)
    if kind == "string":
        result = np.array(values.to_pylist(), dtype=object) if len(values) else np.empty(0, dtype=object)
        if values.null_count:
            result[np.asarray(values.is_null())] = np.nan
        return result
    if kind in ("timestamp", "date"):
        return _writable(values.to_numpy()).astype("datetime64[us]", copy=False)
    return _writable(values.to_numpy())


def _writable(values: Array) -> Array:
    """Return an array that may be written to: Arrow lends its memory read-only, which some estimators cannot use."""
    return values if values.flags.writeable else values.copy()
