"""The language's answers equal those of `terraform console`: the recorded ones everywhere, live ones where terraform is installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplan.lang import console
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.grammar import ShapeCache
from mlplan.lang.parse import parse
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile

HERE = Path(__file__).parent
RECORDED: dict[str, dict[str, str]] = json.loads((HERE / "recorded.json").read_text())
DELIBERATE: dict[str, str] = json.loads((HERE / "deliberate.json").read_text())


def answer(text: str) -> tuple[str | None, Diagnostic | None]:
    """Return what we print for an expression, or the first problem."""
    if "\n" in text:
        _, problems = parse(SourceFile("main.hcl", f"x = {text}\n"), ShapeCache())
        if problems:
            return None, problems[0]
    names = {"path": {"cwd": ".", "module": ".", "root": "."}, "terraform": {"workspace": "default"}}
    shown, problems = console.answer(text, Scope(names, now=datetime.now(UTC), root=HERE / "files"))
    return shown, problems[0] if problems else None


@pytest.mark.parametrize("text", [text for text in RECORDED if text not in DELIBERATE])
def test_answer_equals_recorded(text: str) -> None:
    recorded = RECORDED[text]
    shown, problem = answer(text)
    if "answer" in recorded:
        assert problem is None
        assert shown == recorded["answer"]
    else:
        assert problem is not None, f"terraform says: {recorded['error']}: {recorded['detail']}"
        assert problem.span is not None
        assert problem.detail.endswith((".", "?"))


@pytest.mark.parametrize("text", DELIBERATE)
def test_difference_is_still_one(text: str) -> None:
    shown, _ = answer(text)
    assert shown != RECORDED[text].get("answer", shown and f"not {shown}")


def test_corpus_is_recorded() -> None:
    assert set(_oracle().cases()) == set(RECORDED)
    assert len(RECORDED) >= 4000


def test_some_answers_are_what_terraform_says_now() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("needs the terraform 1.11 binary on PATH")
    oracle = _oracle()
    for text in list(RECORDED)[::97]:
        assert oracle.ask(terraform, text) == RECORDED[text], text


def _oracle():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("terraform_oracle", HERE / "terraform_oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
