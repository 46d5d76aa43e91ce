"""Training, batch prediction and serving must see the same dtypes and values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplan.artifact.errors import ArtifactError
from mlplan.artifact.frame import array_of, frame_of_arrays, frame_of_rows, frame_of_table
from mlplan.artifact.reading import batches, read_table
from mlplan.artifact.schema import Column

COLUMNS = [
    Column("word", "string", nullable=True),
    Column("count", "integer"),
    Column("maybe", "integer", nullable=True),
    Column("amount", "decimal(12,2)", nullable=True),
    Column("flag", "bool"),
    Column("unsure", "bool", nullable=True),
    Column("at", "timestamp", nullable=True),
    Column("day", "date"),
]
NAMES = [column.name for column in COLUMNS]
FULL: list[Any] = ["a", 1, 2, 1.25, True, False, "2013-01-01T05:00:00Z", "2013-01-01"]
EMPTY: list[Any] = [None, -5, None, None, False, None, None, "2013-02-28"]
ROWS = [dict(zip(NAMES, values, strict=True)) for values in (FULL, EMPTY)]
DTYPES = ["object", "int64", "float64", "float64", "bool", "float64", "datetime64[us]", "datetime64[us]"]


def as_table() -> pa.Table:
    return pa.table(
        {
            "word": pa.array(["a", None]),
            "count": pa.array([1, -5], pa.int32()),
            "maybe": pa.array([2, None], pa.int16()),
            "amount": pa.array([1.25, None]).cast(pa.decimal128(12, 2)),
            "flag": [True, False],
            "unsure": pa.array([False, None]),
            "at": pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC), None], pa.timestamp("ms", tz="Europe/Paris")),
            "day": pa.array([15706, 15764], pa.date32()),
        }
    )


def test_rows_and_files_make_the_same_frame(tmp_path: Path) -> None:
    pq.write_table(as_table(), tmp_path / "a.parquet")
    served = frame_of_rows(ROWS, COLUMNS)
    assert [str(dtype) for dtype in served.dtypes] == DTYPES
    trained = frame_of_table(read_table([tmp_path / "a.parquet"], COLUMNS), COLUMNS)
    pd.testing.assert_frame_equal(trained, served)


def test_the_quick_way_to_a_frame_equals_the_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"a": np.array(["x", np.nan], dtype=object), "b": np.array([1.0, 2.0])}
    quick = frame_of_arrays(arrays, 2)
    monkeypatch.delattr(pd.DataFrame, "_from_arrays")
    pd.testing.assert_frame_equal(quick, frame_of_arrays(arrays, 2))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("a", "integer"), None),
        (Column("a", "integer"), 2**70),
        (Column("a", "bool"), None),
        (Column("a", "number"), "x"),
        (Column("a", "timestamp"), "yesterday"),
    ],
)
def test_a_value_of_another_type_is_named(column: Column, value: Any) -> None:
    with pytest.raises(ArtifactError, match='Column "a"') as caught:
        array_of([value], column)
    assert caught.value.code == "wrong-type"


def test_files_are_read_in_the_listed_order_in_bounded_batches(tmp_path: Path) -> None:
    for name, start in (("z", 0), ("a", 100)):
        pq.write_table(
            pa.table({"n": list(range(start, start + 70)), "unused": [0] * 70}), tmp_path / f"{name}.parquet"
        )
    column = Column("n", "integer")
    paths = [tmp_path / "z.parquet", tmp_path / "a.parquet"]
    tables = list(batches(paths, [column], rows=30))
    assert max(table.num_rows for table in tables) == 30
    assert pa.concat_tables(tables).column("n").to_pylist() == [*range(70), *range(100, 170)]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.parquet", b"PAR1 not really", "unreadable-data"),
        ("a.parquet", b"", "unreadable-data"),
        ("gone.parquet", None, "missing-data"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=name) as caught:
        read_table([path], [Column("n", "integer")])
    assert caught.value.code == code


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"m": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=r"a\.parquet does not have n") as caught:
        read_table([tmp_path / "a.parquet"], [Column("n", "integer")])
    assert caught.value.code == "missing-column"


def test_a_missing_value_where_none_is_allowed_is_refused(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([1, None])})
    with pytest.raises(ArtifactError, match="nullable = true"):
        frame_of_table(table, [Column("n", "integer")])


def test_a_column_that_would_lose_digits_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1.5, 2.0]}), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match="without loss") as caught:
        read_table([tmp_path / "a.parquet"], [Column("n", "integer")])
    assert caught.value.code == "wrong-type"
