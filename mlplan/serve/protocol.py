"""The Open Inference Protocol, version 2, over JSON: one tensor a column.

Rows and columns only; no shared memory, no binary tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mlplan.artifact.flavor import ModelInfo
from mlplan.artifact.schema import RequestSchema
from mlplan.serve.problems import RequestProblem
from mlplan.serve.settings import MAX_ROWS

DATATYPES = {
    "string": "BYTES",
    "integer": "INT64",
    "number": "FP64",
    "boolean": "BOOL",
    "timestamp": "BYTES",
    "date": "BYTES",
}


class Tensor(msgspec.Struct):
    """One named tensor. Shapes: (n,) or (n, 1); `data` flat or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferRequest(msgspec.Struct):
    """The body of `/v2/models/{m}/infer`; parameters and requested outputs are accepted and not needed."""

    inputs: list[Tensor]
    id: str | None = None


_DECODER = msgspec.json.Decoder(InferRequest)


def rows_of(body: bytes | bytearray) -> tuple[list[dict[str, Any]], str | None]:
    """Return the rows of an inference request and its id.

    Raises: RequestProblem 400 for another form, 422 when the tensors are not columns of one length.
    """
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        message = f"The body is not an inference request of protocol version 2: {str(error)[:200]}."
        raise RequestProblem(400, "malformed-body", message) from None
    columns = {tensor.name: _flat(tensor) for tensor in request.inputs}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or len(columns) != len(request.inputs):
        message = "The inputs must be one tensor for each column, each named once, all of one length."
        raise RequestProblem(422, "contract", message, reason="shape", path="$.inputs")
    if not 1 <= (count := lengths.pop()) <= MAX_ROWS:
        message = f"A request has 1 to {MAX_ROWS} rows, not {count}."
        raise RequestProblem(422, "contract", message, reason="shape", path="$.inputs")
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)], request.id


def _flat(tensor: Tensor) -> list[Any]:
    """Return the values of a column tensor. Raises: RequestProblem 422."""
    values = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in tensor.data]
    if tensor.shape not in ([len(values)], [len(values), 1]):
        message = (
            f'Input "{tensor.name[:100]}" has shape {tensor.shape[:8]} and {len(values)} values; '
            "a column has shape [n] or [n, 1]."
        )
        raise RequestProblem(422, "contract", message, reason="shape", path="$.inputs")
    if tensor.datatype in ("FP32", "FP64", "FP16", "BF16"):
        return values
    # a whole number sent as 3.0 in an integer tensor is that number: some clients have only one kind of number
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]


def answer(
    model: str, version: str, request_id: str, info: ModelInfo, outputs: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """Return the body of an inference answer."""
    tensors = []
    for name, values in outputs.items():
        nested = bool(values) and isinstance(values[0], list)
        tensors.append(
            {
                "name": name,
                "datatype": _output_type(name, info),
                "shape": [len(values), len(values[0])] if nested else [len(values)],
                "data": [item for row in values for item in row] if nested else values,
            }
        )
    return {"model_name": model, "model_version": version, "id": request_id, "outputs": tensors}


def metadata(model: str, version: str, schema: RequestSchema, info: ModelInfo) -> dict[str, Any]:
    """Return the body of `/v2/models/{m}`."""
    return {
        "name": model,
        "versions": [version],
        "platform": f"mlplan-{info.flavor}",
        "inputs": [
            {
                "name": c.name,
                "datatype": DATATYPES[c.kind],
                "shape": [-1],
                "parameters": {"required": c.required, "nullable": c.nullable},
            }
            for c in schema.columns
        ],
        "outputs": [
            {
                "name": name,
                "datatype": _output_type(name, info),
                "shape": [-1, len(info.classes)] if name == "scores" else [-1],
            }
            for name in output_names(info)
        ],
    }


def output_names(info: ModelInfo) -> tuple[str, ...]:
    """Return the output columns of a task."""
    return {
        "binary_classification": ("prediction", "score"),
        "multiclass": ("prediction", "scores"),
        "regression": ("prediction",),
    }[info.task]


def _output_type(name: str, info: ModelInfo) -> str:
    if name != "prediction" or not info.classes:
        return "FP64"
    kinds = {type(value) for value in info.classes}
    return "BOOL" if kinds == {bool} else "INT64" if kinds == {int} else "FP64" if kinds <= {int, float} else "BYTES"
