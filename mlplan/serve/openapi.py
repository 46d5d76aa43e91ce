"""The OpenAPI document of one served model, made from its contract."""

from __future__ import annotations

from typing import Any

from mlplan.artifact.flavor import ModelInfo
from mlplan.artifact.schema import Column, RequestSchema
from mlplan.serve.settings import MAX_ROWS

_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}


def document(model: str, version: str, schema: RequestSchema, info: ModelInfo) -> dict[str, Any]:
    """Return the document."""
    row = {
        "type": "object",
        "properties": {column.name: _property(column) for column in schema.columns},
        "required": [column.name for column in schema.columns if column.required],
        "additionalProperties": not schema.strict,
    }
    body = {
        "type": "object",
        "required": ["instances"],
        "properties": {
            "instances": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ROWS,
                "items": {"$ref": "#/components/schemas/Row"},
            }
        },
    }
    predict = {
        "post": {"summary": "Predict rows", "requestBody": _json(body, required=True), "responses": _responses(info)}
    }
    health = {"get": {"summary": "Health", "responses": {"200": {"description": "yes"}, "503": {"description": "no"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": model, "version": version},
        "paths": {
            "/predict": predict,
            "/invocations": predict,
            f"/v2/models/{model}/infer": {
                "post": {
                    "summary": "Open Inference Protocol v2, one tensor a column",
                    "requestBody": _json({"type": "object"}, required=True),
                    "responses": {"200": {"description": "the answers"}, **_errors()},
                }
            },
            "/v2/health/live": health,
            "/v2/health/ready": health,
        },
        "components": {"schemas": {"Row": row}},
    }


def _property(column: Column) -> dict[str, Any]:
    found = dict(_TYPES[column.kind])
    if column.on_violation == "reject":
        if column.one_of is not None:
            found["enum"] = [*column.one_of, *([None] if column.nullable else [])]
        if column.between is not None and column.kind in ("integer", "number"):
            low, high = column.between
            found.update({key: bound for key, bound in (("minimum", low), ("maximum", high)) if bound is not None})
    if column.nullable:
        found["type"] = [found["type"], "null"]
    return found


def _responses(info: ModelInfo) -> dict[str, Any]:
    one: dict[str, Any] = {"prediction": {"enum": list(info.classes)} if info.classes else {"type": "number"}}
    if info.task == "binary_classification":
        one["score"] = {"type": "number"}
    elif info.task == "multiclass":
        one["scores"] = {"type": "object", "additionalProperties": {"type": "number"}}
    answer = {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "items": {"type": "object", "properties": one}},
            "model": {"type": "string"},
            "version": {"type": "string"},
        },
    }
    return {"200": {"description": "one answer a row, in order", **_json(answer)}, **_errors()}


def _errors() -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": {"type": "string"}}}}}
    reasons = {
        "400": "the body cannot be read",
        "413": "the body is too large",
        "422": "the contract is broken; `path` says where",
        "500": "the model failed",
        "503": "not ready, or too much is waiting",
        "504": "the deadline passed",
    }
    return {code: {"description": text, **_json(error)} for code, text in reasons.items()}


def _json(schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"content": {"application/json": {"schema": schema}}}
    return {**content, "required": True} if required else content
