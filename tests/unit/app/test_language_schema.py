"""The JSON Schema of the language: a schema itself, takes the examples, refuses what the decoder refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlplan.app.language_schema import language_schema
from mlplan.cli.main import run
from mlplan.config.module import LABELLED
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Block, Body, Expr, Literal, ObjectExpr, TupleExpr

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("**/*.mlplan.hcl"))
SCHEMA = language_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def document(text: str) -> dict[str, Any]:
    """Return a file as JSON, as the schema describes it."""
    body, problems = parse(SourceFile("x", text))
    assert not problems
    return _body(body, text)


def _body(body: Body, text: str) -> dict[str, Any]:
    made: dict[str, Any] = {name: _value(a.expr, text) for name, a in body.attributes.items()}
    for block in body.blocks:
        _add(made, block, _body(block.body, text))
    return made


def _add(made: dict[str, Any], block: Block, inner: dict[str, Any]) -> None:
    if block.labels:
        made.setdefault(block.type, {})[block.labels[0]] = inner
    elif block.type in made:
        made[block.type] = [*(made[block.type] if isinstance(made[block.type], list) else [made[block.type]]), inner]
    else:
        made[block.type] = inner


def _value(expr: Expr, text: str) -> Any:
    if isinstance(expr, Literal):
        value = expr.value
        return value if value is None or isinstance(value, str | bool) else json.loads(str(value))
    if isinstance(expr, TupleExpr):
        return [_value(item, text) for item in expr.items]
    if isinstance(expr, ObjectExpr):
        return {_key(item.key, text): _value(item.value, text) for item in expr.items}
    return "${" + text[expr.span.start : expr.span.end] + "}"


def _key(expr: Expr, text: str) -> str:
    return str(expr.value) if isinstance(expr, Literal) else text[expr.span.start : expr.span.end]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_examples_are_valid(path: Path) -> None:
    VALIDATOR.validate(document(path.read_text()))


MODEL = """
model "m" {
  task = "regression"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.rows }
  }
  gate "good" {
    metric  = "r2"
    at_most = 0.5
  }
}
"""


def test_what_the_decoder_refuses_is_refused() -> None:
    good = document(MODEL)
    VALIDATOR.validate(good)
    for path, value in (
        (("model", "m", "task"), "guessing"),
        (("model", "m", "tusk"), "regression"),
        (("model", "m", "train", "seed"), "seven"),
        (("model", "m", "train", "data", "train"), "data_contract.rows"),
        (("model", "m", "gate", "good", "at_most"), [1]),
        (("model", "m", "deploy_to"), "environment.dev"),
        (("modle",), {}),
    ):
        bad = copy.deepcopy(good)
        inner = bad
        for word in path[:-1]:
            inner = inner[word]
        inner[path[-1]] = value
        assert not VALIDATOR.is_valid(bad), path
    without = copy.deepcopy(good)
    del without["model"]["m"]["train"]["run"]
    assert not VALIDATOR.is_valid(without)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == SCHEMA
    assert set(printed["properties"]) > LABELLED
