"""Checking requests against the contract."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from mlplan.artifact.schema import RequestSchema
from mlplan.serve.contract import Contract
from mlplan.serve.problems import RequestProblem


def contract(*columns: dict[str, Any], features: list[str] | None = None, **settings: Any) -> Contract:
    names = features if features is not None else [column["name"] for column in columns]
    schema = RequestSchema.from_json({"columns": list(columns), **settings}).for_features(names)
    return Contract(schema, names)


def decode(made: Contract, *rows: dict[str, Any]) -> Any:
    return made.decode(json.dumps({"instances": list(rows)}).encode())


def problem(made: Contract, *rows: dict[str, Any]) -> RequestProblem:
    with pytest.raises(RequestProblem) as caught:
        decode(made, *rows)
    assert caught.value.status == 422
    return caught.value


def test_values_come_by_column_and_become_the_arrays_of_training() -> None:
    made = contract(
        {"name": "a b", "type": "string", "nullable": True},
        {"name": "n", "type": "int"},
        {"name": "m", "type": "int", "nullable": True},
        {"name": "t", "type": "timestamp"},
        {"name": "d", "type": "date"},
        {"name": "f", "type": "bool", "nullable": True},
    )
    row = {"a b": None, "n": 3, "m": 4.0, "t": "2013-01-01T05:00:00+02:00", "d": "2013-01-01", "f": None}
    values, rows, warnings = decode(made, row, {**row, "a b": "x", "m": None, "f": True})
    assert (rows, warnings) == (2, [])
    assert values["d"] == (date(2013, 1, 1), date(2013, 1, 1))
    arrays = made.arrays(values)
    assert list(arrays) == ["a b", "n", "m", "t", "d", "f"]
    assert arrays["t"][0] == np.datetime64(datetime(2013, 1, 1, 3, tzinfo=UTC).replace(tzinfo=None))
    assert [str(array.dtype) for array in arrays.values()][:4] == ["object", "int64", "float64", "datetime64[us]"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ({"type": "int"}, 1.5, "type"),
        ({"type": "int"}, 2**63, "between"),
        ({"type": "int"}, True, "type"),
        ({"type": "int", "nullable": True}, 1.5, "type"),
        ({"type": "int"}, None, "null"),
        ({"type": "float"}, "1", "type"),
        ({"type": "bool"}, 1, "type"),
        ({"type": "string"}, 1, "type"),
        ({"type": "timestamp"}, "yesterday", "type"),
        ({"type": "date"}, "2013-13-01", "type"),
        ({"type": "decimal(5,2)", "between": [0, 1]}, 1.01, "between"),
        ({"type": "int", "between": [0.5, None]}, 0, "between"),
        ({"type": "int", "one_of": [1, 2]}, 3, "one_of"),
        ({"type": "float", "one_of": [1.5]}, 2.5, "one_of"),
        ({"type": "string", "one_of": ["a"], "nullable": True}, "b", "one_of"),
        ({"type": "date", "between": ["2013-01-01", "2013-12-31"]}, "2014-01-01", "between"),
    ],
)
def test_a_value_outside_the_contract_is_refused_with_its_place(column: Any, value: Any, reason: str) -> None:
    made = contract({"name": "x", **column})
    found = problem(made, {"x": value})
    assert (found.reason, found.path, found.column) == (reason, "$.instances[0].x", "x")


@pytest.mark.parametrize(
    ("column", "good"),
    [
        ({"type": "int", "between": [0, 5]}, [0, 5]),
        ({"type": "float", "between": [None, 5]}, [5, -1e300]),
        ({"type": "string", "one_of": ["a"], "nullable": True}, ["a", None]),
        ({"type": "float", "one_of": [1.5, 2]}, [1.5, 2]),
        ({"type": "timestamp", "between": ["2013-01-01", None]}, ["2013-01-01T00:00:00"]),
    ],
)
def test_values_at_the_limits_are_taken(column: Any, good: list[Any]) -> None:
    made = contract({"name": "x", **column})
    assert decode(made, *({"x": value} for value in good))[1] == len(good)


def test_a_column_may_warn_instead() -> None:
    limits = {"name": "x", "type": "int", "between": [0, 5], "on_violation": "warn"}
    word = {"name": "w", "type": "string", "one_of": ["a"], "on_violation": "pass"}
    values, _, warnings = decode(contract(limits, word), {"x": 9, "w": "z"}, {"x": 1, "w": "a"})
    assert warnings == [("x", "between")]
    assert values["x"] == (9, 1)


def test_the_policy_of_the_whole_contract_is_the_default() -> None:
    assert decode(contract({"name": "x", "type": "int", "between": [0, 5]}, on_violation="warn"), {"x": 9})[2]


def test_features_are_required_and_other_columns_are_not() -> None:
    made = contract({"name": "k", "type": "string"}, {"name": "x", "type": "int"}, features=["x"])
    assert decode(made, {"x": 1})[0] == {"x": (1,), "k": (None,)}
    assert problem(made, {"k": "a"}).reason == "missing"
    assert list(made.arrays({"x": (1,), "k": (None,)})) == ["x"]


def test_undeclared_columns_are_refused_only_when_strict() -> None:
    column = {"name": "x", "type": "int"}
    found = problem(contract(column), {"x": 1, "late": True})
    assert (found.reason, found.path, found.column) == ("extra", "$.instances[0].late", "")
    assert decode(contract(column, strict=False), {"x": 1, "late": True})[1] == 1


def test_csv_text_becomes_numbers() -> None:
    made = contract(
        {"name": "x", "type": "int", "nullable": True}, {"name": "y", "type": "float"}, {"name": "b", "type": "bool"}
    )
    rows = [{"x": "3", "y": "1.5", "b": "true"}, {"x": None, "y": "2", "b": "0"}]
    assert made.convert(rows, from_text=True)[0] == {"x": (3, None), "y": (1.5, 2.0), "b": (True, False)}


def test_a_moment_that_numpy_cannot_hold_is_the_clients_mistake() -> None:
    from types import SimpleNamespace
    from typing import cast

    from mlplan.serve.infer import predict_values
    from mlplan.serve.state import Serving

    made = contract({"name": "t", "type": "timestamp"})
    values, rows, _ = decode(made, {"t": "0001-01-01T00:00:00+14:00"})
    predict = predict_values(cast("Serving", SimpleNamespace(contract=made)), None)
    with pytest.raises(RequestProblem) as caught:
        predict(values, rows)
    assert (caught.value.status, caught.value.reason) == (422, "type")


@pytest.mark.parametrize("name", ['say "x"', "back\\slash", "two\nlines"])
def test_columns_may_have_names_that_fields_cannot_have(name: str) -> None:
    made = contract({"name": name, "type": "int"}, {"name": "t", "type": "timestamp"}, {"name": "plain", "type": "int"})
    row = {name: 1, "t": "2013-01-01T05:00:00", "plain": 2}
    values, rows, _ = decode(made, row)
    assert (rows, values[name], values["plain"]) == (1, (1,), (2,))
    assert made.convert([{**row, name: "1", "plain": "2"}], from_text=True)[0] == values
    said = problem(made, {**row, name: "x"})
    assert (said.reason, said.column) == ("type", name)
    said = problem(made, {"t": row["t"], "plain": 2})
    assert (said.reason, said.column) == ("missing", name)
    assert problem(made, {**row, "more": 1}).reason == "extra"
    with pytest.raises(RequestProblem) as caught:
        made.decode(b'{"instances": [[1]]}')
    assert caught.value.status == 422
