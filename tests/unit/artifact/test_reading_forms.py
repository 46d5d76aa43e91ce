"""The same rows in every form that a contract reads: what a job sees is what was checked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplan.artifact.reading import read_table
from mlplan.artifact.schema import Column

COLUMNS = [
    Column.from_json({"name": n, "type": t, "nullable": True})
    for n, t in (("id", "string"), ("n", "int"), ("x", "float"), ("ok", "bool"), ("at", "timestamp"), ("year", "int"))
]
ROWS: list[dict[str, Any]] = [
    {"id": "a", "n": 1, "x": 0.5, "ok": True, "at": "2024-01-02T03:04:05"},
    {"id": 'say "x",\ny', "n": None, "x": None, "ok": False, "at": "2024-01-02T03:04:06"},
]


def text(delimiter: str) -> str:
    cells = [[_cell(row[name]) for name in ROWS[0]] for row in ROWS]
    return "\n".join([delimiter.join(ROWS[0]), *(delimiter.join(row) for row in cells)]) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "NA"
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + plain.replace('"', '""') + '"' if '"' in plain else plain


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_rows_are_the_same(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "year=2024"
    folder.mkdir()
    path = folder / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        documents = "".join(json.dumps({**row, "more": 1}) + "\n" for row in ROWS)
        data = documents if "jsonl" in name else text("\t" if "tsv" in name else ",")
        path.write_bytes(gzip.compress(data.encode()) if name.endswith("gz") else data.encode())
    form = "json" if "jsonl" in name else "parquet" if "parquet" in name else "csv"
    found = read_table([path], form, COLUMNS, ["NA"]).to_pylist()
    assert [row["id"] for row in found] == [row["id"] for row in ROWS]
    assert [row["n"] for row in found] == [1, None]
    assert [row["x"] for row in found] == [0.5, None]
    assert [row["ok"] for row in found] == [True, False]
    assert [row["at"].second for row in found] == [5, 6]
    assert [row["year"] for row in found] == [2024, 2024]


def test_a_column_no_document_has_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    assert read_table([tmp_path / "a.jsonl"], "json", COLUMNS[:2]).to_pylist() == [
        {"id": "a", "n": None},
        {"id": "b", "n": None},
    ]


def test_columns_are_called_as_the_checks_call_them(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text('"","two\nlines", x\n"1",a,2\n')
    columns = [Column.from_json({"name": n, "type": "int"}) for n in ("column_1", "x")]
    assert read_table([path], "csv", columns).to_pylist() == [{"column_1": 1, "x": 2}]
