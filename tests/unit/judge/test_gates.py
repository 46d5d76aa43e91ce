"""Gates: three verdicts, in words, with the rows that are missing; gaps that accuse nobody by chance."""

from __future__ import annotations

import numpy as np
import pytest

from mlplan.judge.gates import (
    Rows,
    judge_bound,
    judge_budget,
    judge_gap,
    judge_measured,
    judge_no_live,
    judge_no_worse,
)
from mlplan.judge.intervals import Estimate, unknown, wilson
from mlplan.ledger.evidence import Verdict


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 100, "given")


@pytest.mark.parametrize(
    ("estimate", "limit", "verdict"),
    [
        ((0.9, 0.85, 0.95), 0.85, Verdict.PASS),
        ((0.9, 0.85, 0.95), 0.86, Verdict.INCONCLUSIVE),
        ((0.9, 0.85, 0.95), 0.96, Verdict.FAIL),
        ((0.9, 0.85, 0.95), 0.95, Verdict.INCONCLUSIVE),
    ],
)
def test_the_worse_end_of_the_interval_decides(
    estimate: tuple[float, float, float], limit: float, verdict: Verdict
) -> None:
    assert judge_bound("s", "accuracy", _estimate(*estimate), at_least=limit).verdict is verdict
    mirrored = tuple(-x for x in (estimate[0], estimate[2], estimate[1]))
    assert judge_bound("s", "rmse", _estimate(*mirrored), at_most=-limit).verdict is verdict  # type: ignore[arg-type]


def test_verdicts_are_monotone_in_the_limit() -> None:
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    seen = [
        order.index(judge_bound("s", "accuracy", wilson(80, 100), at_least=x).verdict) for x in np.linspace(0.5, 1, 60)
    ]
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2}


def test_rows_that_would_decide_do_decide() -> None:
    found = judge_bound("s", "accuracy", wilson(420, 500), at_least=0.82)
    assert found.verdict is Verdict.INCONCLUSIVE
    n = 500 + int(1.05 * found.details["rows_needed"])
    assert judge_bound("s", "accuracy", wilson(round(0.84 * n), n), at_least=0.82).verdict is Verdict.PASS
    assert f"{found.details['rows_needed']:,} more" in found.message


def test_no_worse_than_live() -> None:
    assert judge_no_worse("s", "roc_auc", _estimate(-0.002, -0.008, 0.004), 0.01).verdict is Verdict.PASS
    assert judge_no_worse("s", "roc_auc", _estimate(-0.002, -0.012, 0.004), 0.01).verdict is Verdict.INCONCLUSIVE
    assert judge_no_worse("s", "roc_auc", _estimate(-0.05, -0.06, -0.04), 0.01).verdict is Verdict.FAIL
    assert judge_no_worse("s", "rmse", _estimate(0.05, 0.04, 0.06), 0.01).verdict is Verdict.FAIL
    assert judge_no_worse("s", "rmse", _estimate(-0.05, -0.06, -0.04), 0.01).verdict is Verdict.PASS
    assert judge_no_live("s", "rmse", 0.1).verdict is Verdict.PASS


def test_what_cannot_be_measured() -> None:
    assert judge_bound("s", "roc_auc", unknown(5, "one class"), at_least=0.5).verdict is Verdict.INCONCLUSIVE
    assert judge_bound("s", "roc_auc", unknown(5, "nan", invalid=True), at_least=0.5).verdict is Verdict.ERROR


def _slices(rng: np.random.Generator, shares: dict[str, float], n: int) -> dict[str, Rows]:
    return {k: Rows(np.ones(n), (rng.random(n) < share).astype(float)) for k, share in shares.items()}


def test_gap_names_the_pair() -> None:
    rng = np.random.default_rng(1)
    found = judge_gap("s", "accuracy", _slices(rng, {"a": 0.95, "b": 0.9, "c": 0.6}, 400), 0.1, across="carrier")
    assert found.verdict is Verdict.FAIL
    assert found.details["worst_pair"] == {"highest": "a", "lowest": "c"}
    assert "carrier" in found.question


def test_small_groups_are_shown_and_do_not_decide() -> None:
    rng = np.random.default_rng(2)
    slices = _slices(rng, {"a": 0.9, "b": 0.9}, 500) | _slices(rng, {"tiny": 0.0}, 9)
    found = judge_gap("s", "accuracy", slices, 0.15, min_rows=100)
    assert found.verdict is Verdict.PASS
    assert found.details["too_small"]["tiny"]["rows_needed"] == 91
    assert "tiny" in found.message


def test_equal_groups_are_hardly_ever_accused() -> None:
    """Eight groups that do not differ: at most 5 % of the runs fail a gap of nothing much, though the largest gap of 28 is taken."""
    rng = np.random.default_rng(3)
    groups = dict.fromkeys("abcdefgh", 0.8)
    failed = sum(
        judge_gap("s", "accuracy", _slices(rng, groups, 120), 0.001).verdict is Verdict.FAIL for _ in range(150)
    )
    assert failed <= 0.08 * 150


def test_budget_needs_enough_measurements() -> None:
    fast = np.full(367, 3.0)
    found = judge_budget("s", "p99_latency", fast, 10.0, quantile=0.99)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.details["rows_needed"] == 1
    assert judge_budget("s", "p99_latency", np.full(368, 3.0), 10.0, quantile=0.99).verdict is Verdict.PASS
    assert judge_budget("s", "p50_latency", np.full(50, 30.0), 10.0, quantile=0.5).verdict is Verdict.FAIL
    assert judge_measured("s", "size", 11, 10).verdict is Verdict.FAIL
