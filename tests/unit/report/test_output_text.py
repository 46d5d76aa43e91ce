"""Outputs in the forms that people, programs and scripts take."""

from __future__ import annotations

from typing import Any

import pytest

from mlplan.lang.diagnostic import DiagnosticError
from mlplan.report.output_text import HIDDEN, output_json, raw_text, value_of


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("a", "string"),
        (1.5, "number"),
        (True, "bool"),
        ([1, "a"], ["tuple", ["number", "string"]]),
        ({"a": {"b": [False]}}, ["object", {"a": ["object", {"b": ["tuple", ["bool"]]}]}]),
    ],
)
def test_types_are_those_of_terraforms_json(value: Any, type_: Any) -> None:
    assert output_json(value) == {"sensitive": False, "type": type_, "value": value}


def test_what_is_sensitive_is_only_named() -> None:
    assert output_json(HIDDEN) == {"sensitive": True, "type": "dynamic", "value": None}
    assert value_of(HIDDEN) == "(sensitive)"


@pytest.mark.parametrize(("value", "text"), [("a b", "a b"), (3, "3"), (True, "true"), (False, "false")])
def test_bare_values(value: Any, text: str) -> None:
    assert raw_text("o", value) == text


@pytest.mark.parametrize("value", [[1], {}, None, HIDDEN])
def test_what_has_no_bare_value_is_refused(value: Any) -> None:
    with pytest.raises(DiagnosticError) as caught:
        raw_text("o", value)
    assert caught.value.diagnostics[0].code == "output-not-raw"
