"""Declared against stored types, in Parquet, CSV and JSON."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from mlplan.data.types import parse_type

UTC = dt.UTC


@pytest.mark.parametrize(
    "text",
    [
        "string",
        "int",
        "decimal(12,2)",
        "timestamptz",
        "list(int)",
        "list(list(float))",
        "struct(a: int, b: list(string))",
    ],
)
def test_a_type_reads_as_it_is_written(text: str) -> None:
    assert str(parse_type(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("decimal", "needs its size"),
        ("decimal(40,2)", "1 to 38 digits"),
        ("decimal(4,5)", "at most all are decimals"),
        ("varchar", "is not a type"),
        ("struct(a int)", "is not a field"),
        ("struct(a: int, A: int)", "twice"),
        ("list(" * 10 + "int" + ")" * 10, "8 deep"),
    ],
)
def test_a_wrong_type_is_explained(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        parse_type(text)


def _typed() -> dict[str, Any]:
    import pyarrow as pa

    moment = dt.datetime(2024, 1, 1, 12)
    return {
        "id": pa.array([1, 2], pa.int64()),
        "small": pa.array([1, 2], pa.int8()),
        "big": pa.array([2**63, 1], pa.uint64()),
        "amount": pa.array([Decimal("1.10"), Decimal("-3.00")], pa.decimal128(12, 2)),
        "ratio": pa.array([1.0, 2.0], pa.float32()),
        "flag": pa.array([True, False]),
        "name": pa.array(["ünïcode", "日本"]),
        "kind": pa.array(["a", "b"]).dictionary_encode(),
        "long": pa.array(["x", "y"], pa.large_string()),
        "day": pa.array([dt.date(2024, 1, 1)] * 2),
        "at": pa.array([moment] * 2, pa.timestamp("ns")),
        "zoned": pa.array([moment.replace(tzinfo=UTC)] * 2, pa.timestamp("us", tz="Europe/Berlin")),
        "tags": pa.array([["a"], []], pa.list_(pa.string())),
        "point": pa.array([{"x": 1, "y": [1.5]}] * 2, pa.struct([("x", pa.int32()), ("y", pa.list_(pa.float64()))])),
        "empty": pa.array([None, None], pa.null()),
    }


DECLARED = {
    "id": "int", "small": "int", "big": "int", "amount": "decimal(12,2)", "ratio": "float", "flag": "bool", "name": "string",
    "kind": "string", "long": "string", "day": "date", "at": "timestamp", "zoned": "timestamptz", "tags": "list(string)",
    "point": "struct(x: int, y: list(float))", "empty": {"type": "int", "nullable": True},
}  # fmt: skip


def test_every_logical_type_is_found_in_parquet(folder: Any) -> None:
    folder.write("d.parquet", _typed())
    assert folder.fails("d.parquet", DECLARED, strict=True) == {}


@pytest.mark.parametrize(
    ("column", "declared", "stored"),
    [
        ("id", "string", "BIGINT"),
        ("name", "int", "VARCHAR"),
        ("flag", "int", "BOOLEAN"),
        ("at", "timestamptz", "TIMESTAMP_NS"),
        ("amount", "date", "DECIMAL(12,2)"),
        ("tags", "list(int)", "VARCHAR[]"),
        ("tags", "string", "VARCHAR[]"),
        ("point", "struct(x: string)", "STRUCT(x INTEGER, y DOUBLE[])"),
        ("point", "struct(z: int)", "STRUCT(x INTEGER, y DOUBLE[])"),
        ("name", "list(string)", "VARCHAR"),
    ],
)
def test_another_stored_type_fails_and_names_both(folder: Any, column: str, declared: str, stored: str) -> None:
    folder.write("d.parquet", _typed())
    failures = folder.fails("d.parquet", {column: declared})
    message = failures[f"{column} is there as {declared}"].message
    assert f"declared as {declared} and stored as {stored}" in message
    assert f"{column} is never missing" not in failures  # values of another type are there, not missing


def test_a_decimal_that_does_not_fit_is_counted(folder: Any) -> None:
    import pyarrow as pa

    values = [Decimal("1.25"), Decimal("99999.99"), Decimal("1.20")]
    folder.write("d.parquet", {"x": pa.array(values, pa.decimal128(12, 2))})
    failure = folder.fails("d.parquet", {"x": "decimal(5,1)"})["x is of type decimal(5,1)"]
    assert failure.details["failing"] == 2
    assert [e["values"]["x"] for e in failure.details["examples"]] == ["1.25", "99999.99"]


def test_whole_numbers_stored_as_floats_are_integers(folder: Any) -> None:
    folder.write("d.parquet", {"x": [1.0, None, 3.0], "y": [1.0, 1.5, float("inf")]})
    failures = folder.fails("d.parquet", {"x": {"type": "int", "nullable": True}, "y": "int"})
    assert list(failures) == ["y is of type int"]
    assert failures["y is of type int"].details["failing"] == 2


def test_nan_is_missing_in_a_file_without_any_other_missing_value(folder: Any) -> None:
    folder.write("d.parquet", {"x": [1.0, 2.0, float("nan")]})
    (failure,) = folder.fails("d.parquet", {"x": {"type": "float", "between": [0, 9]}}).values()
    assert failure.question == "x is never missing"
    assert failure.details["failing"] == 1


def test_nan_is_missing_even_where_statistics_of_the_file_leave_it_out(folder: Any) -> None:
    folder.write("d.parquet", {"x": [1.0, 2.0, float("nan"), None]})
    report = folder.check(
        "d.parquet", {"x": {"type": "float", "nullable": True}},
        quality={"small": {"rule": "x < 10"}, "gaps": {"metric": "null_fraction(x)", "at_most": 1}},
    )  # fmt: skip
    by_name = {e.subject.rpartition(".")[2]: e for e in report.evidence}
    assert by_name["small"].n == 2
    assert by_name["gaps"].estimate == 0.5
    assert folder.fails("d.parquet", {"x": "float"})["x is never missing"].details["failing"] == 2


CSV = (
    "id,amount,at,flag,day\n"
    "1,1.5,2024-01-01T00:00:00Z,true,2024-02-29\n"
    "2,NaN,2024-01-01 00:00:00,False,2024-02-30\n"
    "3.5,abc,2024-13-01T00:00:00Z,perhaps,01/02/2024\n"
    "3.0,-0,2024-01-01T00:00:00+02:00,1,2024-01-01\n"
)


def test_texts_of_a_csv_are_converted_and_what_is_not_of_its_type_is_counted(folder: Any) -> None:
    folder.write("d.csv", CSV)
    failures = folder.fails(
        "d.csv", {"id": "int", "amount": "float", "at": "timestamptz", "flag": "bool", "day": "date"}
    )
    counts = {name: e.details["failing"] for name, e in failures.items()}
    assert counts == {
        "id is of type int": 1,
        "amount is of type float": 1,
        "amount is never missing": 1,
        "at is of type timestamptz": 2,
        "flag is of type bool": 1,
        "day is of type date": 2,
    }
    assert failures["id is of type int"].details["examples"] == [{"file": "d.csv", "row": 3, "values": {"id": "3.5"}}]


JSON = """{"a":1,"b":"x","c":[1,2],"d":{"k":1.5}}
{"a":"1","b":5,"c":["q"],"d":{"k":"no"}}
{"a":null}
{"a":1.5,"b":"y","c":[null],"d":{}}
{"a":2,"b":"z","c":7,"d":[1]}
"""


def test_json_values_keep_their_own_types(folder: Any) -> None:
    folder.write("d.jsonl", JSON)
    nullable = {"nullable": True}
    failures = folder.fails(
        "d.jsonl",
        {
            "a": {"type": "int", **nullable}, "b": {"type": "string", **nullable},
            "c": {"type": "list(int)", **nullable}, "d": {"type": "struct(k: float)", **nullable},
        },
    )  # fmt: skip
    rows = {name: [e["row"] for e in f.details["examples"]] for name, f in failures.items()}
    assert rows == {
        "a is of type int": [2, 4],
        "b is of type string": [2],
        "c is of type list(int)": [2, 5],
        "d is of type struct(k: float)": [2, 5],
    }


@pytest.mark.parametrize(
    "content", ['[{"a":1},{"a":2}]', '{\n"a": 1\n}\n{\n"a": 2}\n', '{"a":1}\n{"a":2}', '\ufeff[\n{"a":1}, {"a":2}\n]\n']
)
def test_json_documents_come_in_lines_arrays_or_one_after_the_other(folder: Any, content: str) -> None:
    folder.write("d.json", content)
    report = folder.check("d.json", {"a": "int"})
    assert (report.rows, report.failures) == (2, ())


def test_a_moment_with_a_zone_is_compared_as_a_moment(folder: Any) -> None:
    import pyarrow as pa

    noon = dt.datetime(2024, 1, 1, 12, tzinfo=UTC)
    folder.write("d.parquet", {"t": pa.array([noon], pa.timestamp("us", tz="Asia/Tokyo"))})
    inside = {"type": "timestamptz", "between": ["2024-01-01T13:00:00+01:00", "2024-01-01T12:00:00Z"]}
    assert folder.fails("d.parquet", {"t": inside}) == {}
    outside = {"type": "timestamptz", "between": ["2024-01-01T12:00:01Z", None]}
    assert len(folder.fails("d.parquet", {"t": outside})) == 1
