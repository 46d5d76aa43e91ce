"""The end of a run, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplan.engine.types import Outcome, Plan, Result
from mlplan.report.run_text import MOST, run_text
from mlplan.report.style import Style
from tests.world.bench import Bench


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    bench = Bench(tmp_path)
    bench.write("\n".join(f'thing "t{i}" {{}}' for i in range(60)))
    return bench.plan()


def text(plan: Plan, *results: Result, cancelled: bool = False) -> str:
    outcomes = {
        step.id: Outcome(results[min(i, len(results) - 1)], "so\x1b[1m it is") for i, step in enumerate(plan.steps)
    }
    return run_text(plan, outcomes, cancelled, Style(), "apply")


def test_a_run_without_trouble_is_one_line(plan: Plan) -> None:
    assert text(plan, Result.DONE) == "\nApply: 60 done.\n"
    assert run_text(plan, {}, False, Style(), "apply") == ""


def test_what_failed_comes_before_what_was_skipped_and_the_rest_is_counted(plan: Plan) -> None:
    shown = text(plan, Result.DONE, Result.SKIPPED, Result.FAILED, Result.SKIPPED)
    rows = [line for line in shown.splitlines() if line.startswith(("  !!", "  --"))]
    assert rows[0].startswith("  !! thing.t2 (make)")
    assert len(rows) == MOST
    assert f"and {59 - MOST} more" in shown
    assert "Apply: 1 done, 1 failed, 58 skipped." in shown
    assert "Next: mlplan apply" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("result", "cancelled", "words"),
    [
        (Result.REFUSED, False, "What is live was not touched. Next: mlplan plan"),
        (Result.ROLLED_BACK, False, "The version before serves"),
        (Result.WAITING, False, "as soon as the evidence allows. Next: mlplan apply"),
        (Result.SKIPPED, True, "The run was interrupted; what is done is kept"),
    ],
)
def test_it_says_what_to_do_next(plan: Plan, result: Result, cancelled: bool, words: str) -> None:
    assert words in text(plan, result, cancelled=cancelled)
