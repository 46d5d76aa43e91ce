"""Profiles of snapshots and of the prediction log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlplan.data.bins import edges_of
from mlplan.data.profile import profile, profiled_columns
from mlplan.data.read import sample_frame, sample_rows
from mlplan.data.request import request_schema
from mlplan.data.request_log import profile_requests, sample_requests
from mlplan.ledger.profile import Profile

COLUMNS = {
    "id": "string", "x": {"type": "float", "nullable": True}, "k": "int", "c": "string", "b": "bool",
    "who": {"type": "string", "pii": True}, "at": "timestamp", "y": {"type": "bool", "label": True},
}  # fmt: skip


@pytest.fixture
def table() -> dict[str, Any]:
    random = np.random.default_rng(0)
    n = 2_000
    x = random.normal(size=n)
    x[:100], x[100] = np.nan, np.inf
    return {
        "id": [f"r{i}" for i in range(n)], "x": x, "k": random.integers(0, 2, n), "c": random.choice(["ä", "", "b"], n),
        "b": random.random(n) < 0.25, "who": ["Ada"] * n, "at": np.datetime64("2024-01-01", "us") + np.arange(n),
        "y": random.random(n) < 0.5,
    }  # fmt: skip


def _profile(folder: Any, table: dict[str, Any], reference: Profile | None = None, **more: Any) -> Profile:
    folder.write("d.parquet", table)
    contract = folder.contract("d.parquet", COLUMNS, key=["id"])
    return profile(contract, folder.snapshot(contract), folder.root, reference, **more)


def test_counts_are_those_of_numpy(folder: Any, table: dict[str, Any]) -> None:
    made = _profile(folder, table)
    assert set(made.columns) == {"x", "k", "c", "b"}  # no label, key, moment, nor anything personal
    x = made.columns["x"]
    finite = table["x"][np.isfinite(table["x"])]
    assert (x.n, x.nulls) == (2_000, 100)
    assert list(x.counts[1:-1]) == list(np.histogram(finite, x.edges)[0])
    assert (x.counts[0], x.counts[-1]) == (0, 1)  # infinity lies outside
    assert (x.mean, x.deviation) == (pytest.approx(finite.mean()), pytest.approx(finite.std(ddof=1)))
    assert max(x.counts) < 60  # quantile bins
    k = made.columns["k"]
    assert list(k.counts) == [0, int((table["k"] == 0).sum()), int((table["k"] == 1).sum()), 0]
    c = made.columns["c"]
    assert dict(zip(c.categories, c.counts, strict=False)) == {v: int((table["c"] == v).sum()) for v in ("ä", "", "b")}
    assert dict(zip(made.columns["b"].categories, made.columns["b"].counts, strict=False))["true"] == table["b"].sum()


def test_a_profile_survives_json_and_is_the_same_every_time(folder: Any, table: dict[str, Any]) -> None:
    made = _profile(folder, table)
    assert Profile.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert _profile(folder, table) == made


def test_a_profile_in_the_bins_of_another(folder: Any, table: dict[str, Any]) -> None:
    reference = _profile(folder, table)
    moved = {**table, "x": table["x"] + 1, "c": np.array(["new"] * 2_000)}
    made = _profile(folder, moved, reference, columns=["x", "c"])
    assert set(made.columns) == {"x", "c"}
    assert made.columns["x"].edges == reference.columns["x"].edges
    assert made.columns["x"].counts[-1] == int((moved["x"] > reference.columns["x"].edges[-1]).sum())
    assert made.columns["c"].counts == (0, 0, 0, 2_000)


def test_bins_come_from_a_sample_and_counts_from_all_rows(
    folder: Any, table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlplan.data.profile.SAMPLE", 200)
    made = _profile(folder, table).columns["x"]
    finite = table["x"][np.isfinite(table["x"])]
    assert (made.edges[0], made.edges[-1]) == (finite.min(), finite.max())
    assert sum(made.counts) + made.nulls == 2_000
    assert made.counts[0] == 0


def test_edges_of_special_columns() -> None:
    assert edges_of([], 10) == ()
    assert len(edges_of([3.0] * 5, 10)) == 2
    assert edges_of([0.0, 1.0] * 50, 10)[:2] == (0.0, 1.0)
    assert 101 < len(edges_of(list(range(1_000)), 100)) <= 113  # a hundred of equal share, and a few at both ends


def test_an_empty_or_valueless_column(folder: Any) -> None:
    import pyarrow as pa

    columns = {"x": {"type": "float", "nullable": True}, "c": {"type": "string", "nullable": True}}
    for values in (pa.array([], pa.float64()), pa.array([None, None], pa.float64())):
        folder.write("e.parquet", {"x": values, "c": values.cast(pa.string())})
        contract = folder.contract("e.parquet", columns)
        made = profile(contract, folder.snapshot(contract), folder.root)
        assert made.columns["x"].nulls == made.columns["c"].nulls == made.rows == len(values)


def test_values_that_overflow_do_not_end_the_profile(folder: Any) -> None:
    folder.write("h.csv", "x\n1e308\n-1e308\n1e308\n2\n4\n")
    contract = folder.contract("h.csv", {"x": "float"})
    made = profile(contract, folder.snapshot(contract), folder.root).columns["x"]
    assert (made.mean, sum(made.counts)) == (3, 5)


def _log(path: Path, rows: list[dict[str, Any]], tail: bytes = b"") -> Path:
    lines = [json.dumps({"at": 100.0 + i, "version": "v1", "inputs": row}) for i, row in enumerate(rows)]
    path.write_bytes("\n".join([*lines, ""]).encode() + tail)
    return path


def test_the_prediction_log_survives_everything_in_it(folder: Any, table: dict[str, Any]) -> None:
    reference = _profile(folder, table)
    rows = [{"x": float(v), "k": 1, "c": "ä", "b": True, 'odd"/~name': 1} for v in np.linspace(-1, 1, 50)]
    bad = (
        b'not json\n[]\n7\n\n\x00\x00\n{"at":"x","inputs":5}\n{"at":110,"version":"v1","inputs":null}\n{"at":110,"vers'
    )
    log = _log(folder.root / "current-v1-1.jsonl", rows, bad)
    made = profile_requests([log], list(reference.columns), 100, 140, reference, "v1")
    assert made.rows == 41  # forty rows in the window, and one that says nothing
    assert sum(made.columns["x"].counts) == 40
    assert made.columns["c"].counts[made.columns["c"].categories.index("ä")] == 40
    assert made.columns["b"].nulls == 1
    assert profile_requests([log], ["x"], 100, 140, reference, "v2").rows == 0


def test_a_log_that_was_rotated_is_told_and_an_old_one_is_not_opened(folder: Any, table: dict[str, Any]) -> None:
    reference = _profile(folder, table)
    with pytest.raises(FileNotFoundError):
        profile_requests([folder.root / "gone.jsonl"], ["x"], 0, 1, reference)
    log = _log(folder.root / "old.jsonl", [{"x": 1.0}])
    made = profile_requests([log], ["x"], 2e10, 3e10, reference)
    assert (made.rows, sum(made.columns["x"].counts)) == (0, 0)


def test_requests_and_rows_are_sampled_alike(folder: Any, table: dict[str, Any]) -> None:
    folder.write("d.parquet", table)
    contract = folder.contract("d.parquet", COLUMNS, key=["id"])
    rows = sample_frame(contract, folder.snapshot(contract), folder.root, ["x", "c"], 100)
    log = _log(folder.root / "log.jsonl", [{"x": 1.5, "c": "b"}] * 5)
    asked = sample_requests([log], contract, ["x", "c"], 100, 200, "v1", 3)
    assert (len(rows), len(asked)) == (100, 3)
    assert list(asked.columns) == list(rows.columns)
    assert asked["x"].dtype == rows["x"].dtype


def test_probe_rows_are_the_same_every_time_and_say_nothing_personal(folder: Any, table: dict[str, Any]) -> None:
    folder.write("d.parquet", table)
    contract = folder.contract("d.parquet", COLUMNS, key=["id"])
    snapshot = folder.snapshot(contract)
    rows = sample_rows(contract, snapshot, folder.root, rows=30)
    assert rows == sample_rows(contract, snapshot, folder.root, rows=30)
    assert rows != sample_rows(contract, snapshot, folder.root, rows=30, seed=1)
    assert len(rows) == 30
    assert set(rows[0]) == {"x", "k", "c", "b", "who", "at"}
    assert {row["who"] for row in rows} == {""}
    json.dumps(rows, allow_nan=False)


def test_the_request_schema_is_the_contract_without_its_label(folder: Any) -> None:
    contract = folder.contract("d.parquet", COLUMNS, key=["id"])
    names = [c["name"] for c in request_schema(contract, drop=["id"])["columns"]]
    assert names == ["x", "k", "c", "b", "who", "at"]
    assert [c.name for c in profiled_columns(contract)] == ["x", "k", "c", "b"]


def test_csv_with_texts_that_are_no_numbers_has_a_profile(folder: Any) -> None:
    folder.write("d.csv", "x,b\n1.5,yes\n0x1F,no\nx,maybe\n,\n")
    contract = folder.contract("d.csv", {"x": {"type": "float", "nullable": True}, "b": "bool"})
    made = profile(contract, folder.snapshot(contract), folder.root)
    assert made.columns["x"].nulls == 3
    assert made.columns["b"].nulls == 2
