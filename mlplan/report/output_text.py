"""Outputs of the state for people, programs and scripts. What is sensitive is not kept, so it is only named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.report.value_text import value_text

HIDDEN = {"$secret": True}


def value_of(value: Any) -> str:
    """Return a value as people read it."""
    return "(sensitive)" if value == HIDDEN else value_text(value)


def output_json(value: Any) -> dict[str, Any]:
    """Return an output in the form of Terraform's: sensitive, type, value."""
    if value == HIDDEN:
        return {"sensitive": True, "type": "dynamic", "value": None}
    return {"sensitive": False, "type": type_of(value), "value": value}


def type_of(value: Any) -> Any:
    """Return the type of a plain value in the words of Terraform's JSON: "string", ["tuple", [...]], ["object", {...}]."""
    if value is None:
        return "dynamic"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return ["object", {name: type_of(item) for name, item in value.items()}]
    return ["tuple", [type_of(item) for item in value]]


def raw_text(name: str, value: Any) -> str:
    """Return a text, number or bool without anything around it. Raises: DiagnosticError (output-not-raw)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    what = "sensitive, and is not kept" if value == HIDDEN else "null" if value is None else "a list or an object"
    detail = f'--raw prints text, numbers and bools; the output "{name}" is {what}.'
    raise DiagnosticError(Diagnostic("output-not-raw", "This output has no bare value", detail))
