"""Joint drift by a classifier: quiet on equal samples, finds a broken pairing that no column shows, names the columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlplan.judge.two_sample import judge_joint
from mlplan.ledger.evidence import Verdict


def _rows(n: int, seed: int, paired: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    a = random.normal(size=n)
    b = a + 0.1 * random.normal(size=n)
    return pd.DataFrame(
        {
            "a": a, "b": b if paired else random.permutation(b), "noise": random.normal(size=n),
            "kind": random.choice(["x", "y", None], size=n),
        }
    )  # fmt: skip


def test_equal_samples_cannot_be_told_apart() -> None:
    found = judge_joint("s", _rows(900, 1), _rows(700, 2), 0.6)
    assert found.verdict is Verdict.PASS
    assert found.estimate == pytest.approx(0.5, abs=0.05)


def test_a_broken_pairing_is_found_and_named() -> None:
    found = judge_joint("s", _rows(900, 1), _rows(700, 2, paired=False), 0.6)
    assert found.verdict is Verdict.FAIL
    assert set(found.details["telling"]) == {"a", "b"}
    assert found.interval is not None
    assert found.interval[0] > 0.8


def test_categories_and_missing_values_tell_as_well() -> None:
    left, right = _rows(1_000, 1), _rows(1_000, 2)
    right.loc[right["kind"] == "x", "kind"] = None
    found = judge_joint("s", left, right, 0.55)
    assert (found.verdict, found.details["telling"]) == (Verdict.FAIL, ["kind"])


def test_too_few_rows_say_nothing() -> None:
    assert judge_joint("s", _rows(1_000, 1), _rows(20, 2), 0.6).verdict is Verdict.INCONCLUSIVE


def test_the_same_rows_give_the_same_evidence() -> None:
    left, right = _rows(600, 1), _rows(600, 3)
    assert judge_joint("s", left, right, 0.6) == judge_joint("s", left, right, 0.6)
