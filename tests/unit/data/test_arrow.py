"""Arrow and Feather files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather

from mlplan.artifact.reading import read_table
from mlplan.artifact.schema import Column
from mlplan.data.infer import infer
from mlplan.data.profile import profile
from mlplan.data.sources import resolve
from mlplan.data.typed import typed_files

TABLE = pa.table({
    "a": [1, 2, None], "b": pa.array(["x", "y", "x"]).dictionary_encode(), "t": pa.array([0, 1, 2], pa.timestamp("ns")),
    "f": [0.5, float("nan"), 2.0],
})  # fmt: skip
COLUMNS = {
    "a": {"type": "int", "between": [2, None]},
    "b": {"type": "string", "one_of": ["x"]},
    "t": "timestamp",
    "f": "float",
}


def _arrow(path: Path, table: pa.Table = TABLE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("name", ["d.arrow", "d.feather"])
def test_checks_and_profiles(folder: Any, name: str) -> None:
    if name.endswith("arrow"):
        _arrow(folder.root / name)
    else:
        feather.write_feather(TABLE, str(folder.root / name), compression="zstd")
    failures = folder.fails(name, COLUMNS)
    assert set(failures) == {"a is never missing", "a is at least 2", "b is one of x", "f is never missing"}
    (example,) = failures["b is one of x"].details["examples"]
    assert (example["file"], example["row"], example["values"]) == (name, 2, {"b": "y"})
    contract = folder.contract(name, COLUMNS)
    assert profile(contract, folder.snapshot(contract), folder.root).columns["a"].nulls == 1


def test_folders_and_files_that_differ(folder: Any) -> None:
    _arrow(folder.root / "d/k=1/a.arrow")
    _arrow(folder.root / "d/k=2/b.arrow", pa.table({"a": pa.array([7], pa.int32())}))
    report = folder.check(
        "d", {"a": {"type": "int", "nullable": True}, "k": "int", "b": {"type": "string", "nullable": True}}
    )
    assert report.rows == 4
    assert report.failures == ()


def test_a_job_reads_the_same(folder: Any) -> None:
    _arrow(folder.root / "d.arrow")
    contract = folder.contract("d.arrow", {"a": {"type": "int", "nullable": True}, "b": "string"})
    (copy,) = typed_files(contract, folder.snapshot(contract), folder.root, folder.root / "cache")
    table = read_table([copy], [Column("a", "integer", nullable=True), Column("b", "string")])
    assert table.to_pydict() == {"a": [1, 2, None], "b": ["x", "y", "x"]}


def test_infer(folder: Any) -> None:
    _arrow(folder.root / "d.arrow")
    source, _ = resolve("d.arrow", folder.root)
    assert source is not None
    arguments, _ = infer(source)
    assert {c: d["type"] for c, d in arguments["columns"].items()} == {
        "a": "int",
        "b": "string",
        "t": "timestamp",
        "f": "float",
    }


@pytest.mark.parametrize("content", [b"hello", b"ARROW1\0\0" + b"\xff" * 40 + b"ARROW1", b"ARROW1"])
def test_what_is_no_arrow(folder: Any, content: bytes) -> None:
    folder.write("d.arrow", content)
    assert "d.arrow" in folder.unreadable("d.arrow", {"a": "int"})


def test_a_file_that_was_cut_off(folder: Any) -> None:
    _arrow(folder.root / "d.arrow")
    data = (folder.root / "d.arrow").read_bytes()
    folder.write("d.arrow", data[:200] + data[300:])
    assert "d.arrow" in folder.unreadable("d.arrow", {"a": "int"})
