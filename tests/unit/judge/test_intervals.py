"""Intervals against scipy's, and their coverage by exact enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlplan.judge.intervals import clopper_pearson, paired_proportions, quantile_interval, wilson

COUNTS = [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (17, 200), (199, 200), (5000, 10_000), (1, 1_000_000)]


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_proportions_equal_scipy(k: int, n: int, confidence: float) -> None:
    reference = stats.binomtest(k, n)
    for made, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        expected = reference.proportion_ci(confidence, method=method)
        found = made(k, n, confidence)
        assert (found.value, found.n) == (k / n, n)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def _coverage(n: int, p: float, interval: object, confidence: float = 0.95) -> float:
    chances = stats.binom.pmf(np.arange(n + 1), n, p)
    inside = [interval(k, n, confidence).low <= p <= interval(k, n, confidence).high for k in range(n + 1)]  # type: ignore[operator]
    return float(chances[np.array(inside)].sum())


def test_clopper_pearson_never_covers_less() -> None:
    for n in (5, 30):
        assert min(_coverage(n, p, clopper_pearson) for p in np.linspace(0.01, 0.99, 25)) >= 0.95


def test_wilson_covers_95_percent_on_average() -> None:
    for n in (10, 50):
        assert np.mean([_coverage(n, p, wilson) for p in np.linspace(0.02, 0.98, 49)]) == pytest.approx(0.95, abs=0.01)


def test_nothing_counted_is_no_value() -> None:
    for made in (wilson, clopper_pearson):
        assert not made(0, 0).known
        assert made(0, 0).interval is None


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_quantile_interval_covers_exactly_as_promised(q: float) -> None:
    """The chance that the ranks enclose the quantile is a binomial sum, whatever the distribution of the values is."""
    for n in (100, 400):
        found = quantile_interval(np.arange(1.0, n + 1), q)
        low, high = int(found.low), int(found.high)
        covered = stats.binom.cdf(high - 1, n, q) - stats.binom.cdf(low - 1, n, q)
        assert covered >= 0.95
        # No narrower ranks would do on either side.
        assert stats.binom.cdf(low, n, q) > 0.025
        assert 1 - stats.binom.cdf(high - 2, n, q) > 0.025


def test_a_high_quantile_of_few_values_has_no_upper_end() -> None:
    assert math.isinf(quantile_interval(np.arange(367.0), 0.99).high)
    assert math.isfinite(quantile_interval(np.arange(368.0), 0.99).high)


def test_paired_interval_leaves_zero_out_just_when_mcnemar_says_so() -> None:
    z = stats.norm.ppf(0.975)
    for b in range(0, 26, 3):
        for c in range(0, 26, 4):
            if b + c == 0:
                continue
            found = paired_proportions(b, c, 100)
            differs = abs(b - c) / math.sqrt(b + c) > z
            assert (found.low > 0 or found.high < 0) == differs, (b, c)


def test_paired_interval_solves_the_score_equation() -> None:
    """The interval of 12 and 2 discordant of 50 pairs solves the score equation at both ends."""
    found = paired_proportions(12, 2, 50)
    assert found.value == pytest.approx(0.2)
    for d in (found.low, found.high):
        a, b, c = 100.0, -14 + (100 - 12 + 2) * d, -2 * d * (1 - d)
        q21 = (math.sqrt(b * b - 4 * a * c) - b) / (2 * a)
        assert abs(12 - 2 - 50 * d) / math.sqrt(50 * (2 * q21 + d * (1 - d))) == pytest.approx(1.959964, abs=1e-4)


def test_paired_interval_covers() -> None:
    n, p, q = 40, 0.15, 0.08  # chances that only the first, only the second is right
    covered = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            chance = stats.multinomial.pmf([b, c, n - b - c], n, [p, q, 1 - p - q])
            if chance > 1e-7:
                found = paired_proportions(b, c, n)
                covered += chance * (found.low <= p - q <= found.high)
    assert 0.935 <= covered <= 0.985
