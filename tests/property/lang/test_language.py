"""What holds for every text: an answer or diagnostics, never a crash; formatting is stable and changes no meaning."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplan.lang.console import answer
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.fmt import format_text
from mlplan.lang.parse import parse, parse_expression
from mlplan.lang.scope import Scope
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Expr
from mlplan.lang.values import Secret

CORPUS = Path(__file__).parents[2] / "conformance" / "lang"
EXPRESSIONS = [
    line for line in (CORPUS / "expressions.txt").read_text().splitlines() if line and not line.startswith("#")
]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

names = st.sampled_from(["a", "b", "x1", "local", "each"])
words = st.text(st.sampled_from('ab c"\\$%{}\n\té\u202e\0'), max_size=8)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


literals = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(str),
    st.sampled_from(["true", "false", "null", "[]", "{}"]),
    words.map(quoted),
)
FUNCTIONS = [
    "length",
    "upper",
    "tostring",
    "tonumber",
    "jsonencode",
    "toset",
    "tolist",
    "keys",
    "flatten",
    "max",
    "try",
    "can",
    "sum",
]


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
        st.lists(inner, max_size=3).map(lambda t: f"[{', '.join(t)}]"),
        st.lists(st.tuples(names, inner), max_size=3).map(lambda t: "{" + ", ".join(f"{k} = {v}" for k, v in t) + "}"),
        st.tuples(st.sampled_from(FUNCTIONS), st.lists(inner, max_size=2)).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
        inner.map(lambda t: f"[for v in {t} : v]"),
        inner.map(lambda t: f"{{for k, v in {t} : k => v}}"),
        inner.map(lambda t: f"({t})[*]"),
        inner.map(lambda t: f"({t})[0]"),
        inner.map(lambda t: '"x${' + t + '}y"'),
        inner.map(lambda t: f"!({t})"),
    )


expressions = st.recursive(literals, larger, max_leaves=12)


@given(expressions)
@QUICK
def test_every_expression_has_an_answer_or_diagnostics(text: str) -> None:
    said, problems = answer(text, Scope())
    assert (said is None) == bool(problems)
    assert all(problem.code and problem.summary for problem in problems)


@given(
    st.sampled_from(EXPRESSIONS), st.lists(st.tuples(st.integers(0, 80), st.text(max_size=3)), min_size=1, max_size=3)
)
@QUICK
def test_damaged_expressions_have_an_answer_or_diagnostics(text: str, damage: list[tuple[int, str]]) -> None:
    for place, replacement in damage:
        at = place % (len(text) + 1)
        text = text[:at] + replacement + text[at + 1 :]
    said, problems = answer(text, Scope())
    assert (said is None) == bool(problems)


@pytest.mark.parametrize("text", ["1 za{}", "a b = c", "1 a {} b {}", "\udcff", "${", "%{ if"])
def test_texts_that_once_broke_it(text: str) -> None:
    said, problems = answer(text, Scope())
    assert said is None
    assert problems


@given(st.lists(st.tuples(names, expressions), min_size=1, max_size=4, unique_by=lambda t: t[0]))
@QUICK
def test_formatting_is_stable_and_keeps_the_meaning(pairs: list[tuple[str, str]]) -> None:
    text = 'block   "x" {\n' + "".join(f"  {name}={value}\n" for name, value in pairs) + "}\n"
    once = format_text(text)
    assert format_text(once) == once
    before, problems = parse(SourceFile("x.mlplan.hcl", text))
    after, problems_after = parse(SourceFile("x.mlplan.hcl", once))
    assert [p.code for p in problems] == [p.code for p in problems_after]
    if not problems:
        names_of = [sorted(block.body.attributes) for body in (before, after) for block in body.blocks]
        assert names_of[0] == names_of[1]


@given(expressions)
@QUICK
def test_a_secret_is_in_no_message(text: str) -> None:
    canary = "canary-7391"
    expr, problems = parse_expression(SourceFile("x", text.replace('"x${', '"${s}${').replace("null", "s")))
    if expr is None:
        assert problems
        return
    assert canary not in outcome(expr, Scope({"s": Secret(canary)}))


def outcome(expr: Expr, scope: Scope) -> str:
    """Return all that is said of an evaluation."""
    try:
        return repr(evaluate(expr, scope))
    except DiagnosticError as error:
        return f"{error} {error.diagnostics!r}"
