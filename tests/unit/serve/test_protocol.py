"""The Open Inference Protocol's tensors and the other body forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlplan.artifact.flavor import ModelInfo
from mlplan.serve import bodies, protocol
from mlplan.serve.problems import RequestProblem


def tensor(name: str, data: list[Any], shape: list[int] | None = None, datatype: str = "INT64") -> dict[str, Any]:
    return {"name": name, "shape": shape if shape is not None else [len(data)], "datatype": datatype, "data": data}


def rows(*tensors: dict[str, Any]) -> Any:
    return protocol.rows_of(json.dumps({"inputs": list(tensors)}).encode())[0]


def test_tensors_become_rows() -> None:
    found = rows(
        tensor("a", [1, 2.0]), tensor("b", [["x"], [None]], [2, 1], "BYTES"), tensor("c", [1, 2], None, "FP64")
    )
    assert found == [{"a": 1, "b": "x", "c": 1}, {"a": 2, "b": None, "c": 2}]
    assert isinstance(found[1]["a"], int)


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [tensor("a", [])],
        [tensor("a", [1]), tensor("b", [1, 2])],
        [tensor("a", [1]), tensor("a", [1])],
        [tensor("a", [1, 2], [3])],
        [tensor("a", [[1, 2]], [1, 2])],
    ],
)
def test_tensors_that_are_not_columns_are_refused(tensors: list[Any]) -> None:
    with pytest.raises(RequestProblem) as caught:
        rows(*tensors)
    assert (caught.value.status, caught.value.reason) == (422, "shape")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"inputs": 1}', b'{"inputs": [{"name": "a"}]}', b"\xff"])
def test_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(RequestProblem) as caught:
        protocol.rows_of(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("classes", "datatype"), [((False, True), "BOOL"), ((0, 1, 2), "INT64"), (("a", "b"), "BYTES"), ((), "FP64")]
)
def test_outputs_have_the_type_of_the_classes(classes: tuple[Any, ...], datatype: str) -> None:
    info = ModelInfo("sklearn", "model.skops", "multiclass", ("a",), classes)
    outputs = {"prediction": list(classes[:1]) or [0.5], "scores": [[0.2, 0.8]]}
    answer = protocol.answer("m", "v1", "id", info, outputs)
    assert [output["datatype"] for output in answer["outputs"]] == [datatype, "FP64"]
    assert (answer["outputs"][1]["shape"], answer["outputs"][1]["data"]) == ([1, 2], [0.2, 0.8])


def test_csv_needs_a_header_and_equal_rows() -> None:
    assert bodies.rows_of_csv(b'a,b\n1,"x, y"\n,\n') == [{"a": "1", "b": "x, y"}, {"a": None, "b": None}]
    for body, status in ((b"a,b\n", 422), (b"a,b\n1\n", 422), (b'a\n"1', 400), (b"\xff\n1", 400), (b"", 422)):
        with pytest.raises(RequestProblem) as caught:
            bodies.rows_of_csv(body)
        assert caught.value.status == status, body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', 422),
        (b'{"dataframe_split": {"columns": "a"}}', 400),
        (b'{"dataframe_records": null}', 422),
    ],
)
def test_broken_frames_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(RequestProblem) as caught:
        bodies.rows_of_frames(body)
    assert caught.value.status == status
