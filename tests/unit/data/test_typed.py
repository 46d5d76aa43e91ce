"""What jobs read of text files is what was checked: in every form, whatever the texts look like, once written."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplan.artifact.reading import read_table
from mlplan.artifact.schema import Column
from mlplan.data.typed import KEPT_SECONDS, PROOF, typed_files

TYPES = {"id": "string", "n": "int", "x": "float", "ok": "bool", "at": "timestamp", "year": "int"}
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


def typed(folder: Any, source: str, types: dict[str, str], **arguments: Any) -> list[Path]:
    """Return the files of a contract that a job reads."""
    contract = folder.contract(source, {n: {"type": t, "nullable": True} for n, t in types.items()}, **arguments)
    return typed_files(contract, folder.snapshot(contract), folder.root, folder.root / "cache")


def rows(folder: Any, source: str, types: dict[str, str], **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows that a job sees."""
    columns = [Column.from_json({"name": n, "type": t, "nullable": True}) for n, t in types.items()]
    return read_table(typed(folder, source, types, **arguments), columns).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.json", "a.parquet"])
def test_rows_are_the_same(folder: Any, name: str) -> None:
    path = folder.root / "d" / "year=2024" / name
    path.parent.mkdir(parents=True)
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        lines = "".join(json.dumps({**row, "more": 1}) + "\n" for row in ROWS)
        documents = lines if "jsonl" in name else json.dumps(ROWS)
        data = documents if "json" in name else text("\t" if "tsv" in name else ",")
        path.write_bytes(gzip.compress(data.encode()) if name.endswith("gz") else data.encode())
    found = rows(folder, f"d/*/{name}", TYPES, missing=["NA"])
    assert [row["id"] for row in found] == [row["id"] for row in ROWS]
    assert [row["n"] for row in found] == [1, None]
    assert [row["x"] for row in found] == [0.5, None]
    assert [row["ok"] for row in found] == [True, False]
    assert [row["at"].second for row in found] == [5, 6]
    assert [row["year"] for row in found] == [2024, 2024]


def test_a_column_no_document_has_is_missing(folder: Any) -> None:
    folder.write("a.jsonl", '{"id": "a"}\n{"id": "b"}\n')
    assert rows(folder, "a.jsonl", {"id": "string", "n": "int"}) == [{"id": "a", "n": None}, {"id": "b", "n": None}]


def test_moments_and_names_are_read_as_the_checks_read_them(folder: Any) -> None:
    folder.write("r.csv", '"","two\nlines", day,zoned\n"1",a,2024/02/03,2024-01-02T03:04:05+02:00\n')
    found = rows(folder, "r.csv", {"column_1": "int", "day": "date", "zoned": "timestamptz"})
    assert found == [{"column_1": 1, "day": datetime(2024, 2, 3), "zoned": datetime(2024, 1, 2, 1, 4, 5)}]


def test_a_value_of_another_type_is_missing(folder: Any) -> None:
    folder.write("a.csv", "n\n1\nx\n")
    assert rows(folder, "a.csv", {"n": "int"}) == [{"n": 1}, {"n": None}]


def test_files_and_rows_keep_their_order(folder: Any) -> None:
    for number, columns in enumerate(("n", "n,m", "n")):
        row = "{}" if columns == "n" else "{},x"
        lines = [row.format(number * 50_000 + i) for i in range(50_000)]
        folder.write(f"d/{number}.csv", columns + "\n" + "\n".join(lines) + "\n")
    found = rows(folder, "d/*.csv", {"n": "int"})
    assert [row["n"] for row in found] == list(range(150_000))


def test_parquet_files_are_read_where_they_are(folder: Any) -> None:
    folder.write("a.parquet", {"n": [1]})
    assert typed(folder, "a.parquet", {"n": "int"}) == [folder.root / "a.parquet"]


def test_a_copy_is_used_again_while_it_is_whole(folder: Any) -> None:
    folder.write("a.csv", "n\n1\n")
    (copy,) = typed(folder, "a.csv", {"n": "int"})
    first = copy.stat()
    assert typed(folder, "a.csv", {"n": "int"}) == [copy]
    assert copy.stat().st_ino == first.st_ino
    pq.write_table(pa.table({"n": [9]}), copy)
    assert rows(folder, "a.csv", {"n": "int"}) == [{"n": 1}]
    (copy.parent / PROOF).unlink()
    assert rows(folder, "a.csv", {"n": "int"}) == [{"n": 1}]
    assert typed(folder, "a.csv", {"n": "float"}) != [copy]


def test_copies_that_nobody_used_for_long_are_removed(folder: Any) -> None:
    folder.write("a.csv", "n\n1\n")
    (old,) = typed(folder, "a.csv", {"n": "int"})
    os.utime(old.parent, (0, os.stat(old).st_mtime - KEPT_SECONDS - 60))
    folder.write("a.csv", "n\n2\n")
    (new,) = typed(folder, "a.csv", {"n": "int"})
    assert list(new.parent.parent.iterdir()) == [new.parent]
