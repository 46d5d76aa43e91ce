"""The comment of a pull request: bounded, in its drop order, with the verdicts always."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlplan.engine.types import Action, Change, Plan, Reason, Step
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.markdown import MOST, headline, marker, plan_markdown
from tests.world.bench import Bench


def change(number: int, evidence: int, reason: str = "because of it") -> Change:
    address = f"model.m{number}"
    found = tuple(
        Evidence(f"{address}.gate.g{i}", "auc >= 0.9", Verdict.FAIL if i == 0 else Verdict.PASS, message="x" * 120)
        for i in range(evidence)
    )
    step = Step(f"{address}#train", address, "model", "train", "train it " + "y" * 200, "t")
    return Change(
        address, "model", Action.RETRAIN, (Reason(reason),), (), (step,), evidence=found, questions=("gate q ? f1 > 0",)
    )


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    bench = Bench(tmp_path)
    bench.write('thing "a" {}')
    return bench.plan()


@pytest.mark.parametrize(
    ("changes", "reason", "has", "lacks"),
    [
        (3, "r", ["Reasons and fields", "Contracts and evidence", "Full plan"], []),
        (120, "r", ["Reasons and fields"], ["Full plan"]),
        (300, "long " * 80, ["| rule |"], ["Full plan", "Contracts and evidence", "Reasons and fields"]),
    ],
)
def test_a_long_comment_loses_details_in_order_and_never_the_verdicts(
    plan: Plan, changes: int, reason: str, has: list[str], lacks: list[str]
) -> None:
    text = plan_markdown(replace(plan, changes=tuple(change(i, 3, reason) for i in range(changes))))
    assert len(text) <= MOST
    assert "| rule | wants |" in text
    assert "**fail**" in text
    assert "mlplan apply" in text
    assert all(word in text for word in has)
    assert not any(word in text for word in lacks)
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0


def test_what_failed_comes_first(plan: Plan) -> None:
    text = plan_markdown(replace(plan, changes=(change(1, 150),)))
    rows = [line for line in text.splitlines() if line.startswith("| `model")]
    assert "**fail**" in rows[0]
    assert "and 51 more" in text


def test_the_headline_says_what_matters(plan: Plan) -> None:
    assert headline(plan) == "1 to add"
    assert headline(replace(plan, changes=(), steps=())) == "no changes"
    failing = replace(change(1, 0), blocked=(Evidence("c", "q", Verdict.FAIL),))
    assert headline(replace(plan, changes=(failing,))).startswith("1 contract says no")


def test_the_marker_cannot_be_closed_from_inside() -> None:
    assert marker("a-->b", "x\n<!--") == "<!-- mlplan:a__b:x____ -->"
    assert "-->" not in marker("--> <script>", "-->")[:-3]
