"""Drift verdicts: limit and noise, missing values, new categories, many columns; realised rates by a small simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlplan.judge.drift import DISTANCES, benjamini_hochberg, judge_drift
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.profile import ColumnProfile, Profile

EDGES = tuple(float(e) for e in stats.norm.ppf(np.linspace(0.0005, 0.9995, 101)))


def numeric(values: Any, nulls: int = 0, name: str = "x", edges: tuple[float, ...] = EDGES) -> ColumnProfile:
    values = np.asarray(values, dtype=float)
    inside = np.histogram(values, edges)[0]
    counts = (int((values < edges[0]).sum()), *map(int, inside), int((values > edges[-1]).sum()))
    mean, deviation = (float(values.mean()), float(values.std())) if len(values) else (None, None)
    return ColumnProfile(name, "numeric", len(values) + nulls, nulls, counts, edges, mean=mean, deviation=deviation)


def categorical(counts: dict[str, int], other: int = 0, nulls: int = 0, name: str = "c") -> ColumnProfile:
    total = sum(counts.values()) + other + nulls
    return ColumnProfile(name, "categorical", total, nulls, (*counts.values(), other), (), tuple(counts))


def profile(*columns: ColumnProfile) -> Profile:
    return Profile("test", max(c.n for c in columns), {c.name: c for c in columns})


def judged(
    left: ColumnProfile, right: ColumnProfile, distance: str | None = None, at_most: float = 0.1, **more: Any
) -> Evidence:
    (evidence,) = judge_drift("m.watch.w", profile(left), profile(right), None, distance, at_most, **more)
    return evidence


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_moved_column_fails_and_an_unmoved_one_passes(random: np.random.Generator, distance: str) -> None:
    reference = numeric(random.normal(size=20_000))
    assert judged(reference, numeric(random.normal(size=5_000)), distance).verdict is Verdict.PASS
    moved = judged(reference, numeric(random.normal(0.6, 1, size=5_000)), distance)
    assert moved.verdict is Verdict.FAIL
    assert moved.details["p"] < 1e-6
    assert moved.interval is not None
    assert moved.interval[0] <= moved.estimate <= moved.interval[1]
    assert "limit 0.1" in moved.message


def test_at_a_million_rows_a_tiny_shift_is_significant_and_no_drift(random: np.random.Generator) -> None:
    reference = numeric(random.normal(size=1_000_000))
    found = judged(reference, numeric(random.normal(0.02, 1, size=1_000_000)))
    assert found.details["p"] < 1e-6
    assert found.verdict is Verdict.PASS


def test_a_distance_that_chance_explains_is_inconclusive() -> None:
    random = np.random.default_rng(1)
    reference = numeric(random.normal(size=20_000))
    found = judged(reference, numeric(random.normal(size=60)), at_most=0.01, min_rows=10)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "too few rows" in found.message


def test_fewer_rows_than_wanted_are_inconclusive(random: np.random.Generator) -> None:
    left, right = numeric(random.normal(size=1_000)), numeric(random.normal(3, 1, size=100))
    found = judged(left, right, min_rows=500)
    assert (found.verdict, found.n) == (Verdict.INCONCLUSIVE, 100)
    assert "at least 500" in found.message


@pytest.mark.parametrize("distance", DISTANCES)
def test_values_that_go_missing_are_drift(random: np.random.Generator, distance: str) -> None:
    reference = numeric(random.normal(size=10_000))
    found = judged(reference, numeric(random.normal(size=3_000), nulls=2_000), distance)
    assert found.verdict is Verdict.FAIL
    assert "missing 0.0% → 40.0%" in found.message
    everything = judged(reference, numeric([], nulls=2_000), distance)
    assert everything.verdict is Verdict.FAIL


def test_values_outside_of_the_range_are_named(random: np.random.Generator) -> None:
    reference = numeric(random.normal(size=10_000))
    found = judged(reference, numeric(random.normal(20, 1, size=5_000)), "wasserstein", at_most=1)
    assert found.estimate == pytest.approx(20, rel=0.02)  # not cut off at the edge of the reference
    assert "outside the range" in found.message


@pytest.mark.parametrize("distance", DISTANCES)
def test_new_categories_are_drift(distance: str) -> None:
    reference = categorical({"a": 5_000, "b": 4_000, "c": 1_000})
    found = judged(reference, categorical({"a": 500, "b": 400, "c": 0}, other=600), distance)
    assert found.verdict is Verdict.FAIL
    assert "in other categories 0.0% → 40.0%" in found.message
    assert judged(reference, categorical({"a": 495, "b": 405, "c": 100}), distance).verdict is Verdict.PASS


def test_a_constant_column_and_zeros_and_ones() -> None:
    constant = numeric(np.zeros(1_000), edges=(0.0, 5e-324))
    assert judged(constant, constant).verdict is Verdict.PASS
    bits = (0.0, 1.0, 1.0 + 2**-52)
    left, right = numeric(np.arange(2_000) % 2, edges=bits), numeric(np.arange(2_000) % 10 == 0, edges=bits)
    assert judged(left, right).verdict is Verdict.FAIL


def test_what_cannot_be_compared_is_an_error(random: np.random.Generator) -> None:
    left = numeric(random.normal(size=1_000))
    other = numeric(random.normal(size=1_000), edges=(0.0, 1.0))
    assert judged(left, other).verdict is Verdict.ERROR
    (found,) = judge_drift("s", profile(left), profile(left), ["nope"], None, 0.1)
    assert (found.verdict, found.details["column"]) == (Verdict.ERROR, "nope")


def test_the_same_profiles_give_the_same_evidence(random: np.random.Generator) -> None:
    left, right = numeric(random.normal(size=1_000)), numeric(random.normal(0.2, 1, size=1_000))
    assert judged(left, right).to_json() == judged(left, right).to_json()


def test_benjamini_hochberg_is_that_of_scipy() -> None:
    p = np.random.default_rng(0).uniform(size=40) ** 3
    adjusted = stats.false_discovery_control(p, method="bh")
    for rate in (0.01, 0.05, 0.3):
        assert benjamini_hochberg(list(p), rate).tolist() == (adjusted <= rate).tolist()
    assert benjamini_hochberg([], 0.1).tolist() == []


def test_false_alarms_over_many_unmoved_columns_stay_below_the_rate() -> None:
    """60 windows of 5 columns of 600 rows: at a rate of 5 %, more than 9 windows with an alarm have a chance of 0.2 %."""
    random = np.random.default_rng(11)
    reference = profile(*[numeric(random.standard_t(3, size=20_000), name=f"x{i}") for i in range(5)])
    alarms = 0
    for trial in range(60):
        current = profile(*[numeric(random.standard_t(3, size=600), name=f"x{i}") for i in range(5)])
        found = judge_drift("s", reference, current, None, "psi", 0.0, 0.05, 500, seed=trial)
        alarms += any(e.verdict is Verdict.FAIL for e in found)
    assert alarms <= 9
