"""Estimates with confidence intervals: proportions, quantiles, paired proportions.

An `Estimate` is what every measurement of the judge ends in. It holds no limit and no verdict: `gates` compares it.
Everything here is closed form; resampling is in `bootstrap`, ranking in `auc`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its two-sided interval.

    value, low, high: in the unit of the metric; an end that the data cannot bound is infinite. n: rows, requests or
    trials behind it. method: how the interval was made. reason: why there is no value (then `value` is NaN). invalid:
    the reason is a wrong measurement (scores that are not numbers), not too little data.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    confidence: float = 0.95
    reason: str = ""
    invalid: bool = False

    @property
    def known(self) -> bool:
        """Tell whether there is a value at all."""
        return not math.isnan(self.value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return (low, high), or None when an end is unbounded or there is no value (JSON has no infinity)."""
        return (self.low, self.high) if self.known and math.isfinite(self.low) and math.isfinite(self.high) else None


def unknown(n: int, reason: str, *, confidence: float = 0.95, invalid: bool = False) -> Estimate:
    """Return the estimate that says why there is none."""
    return Estimate(math.nan, -math.inf, math.inf, n, "none", confidence, reason, invalid)


def normal_quantile(confidence: float) -> float:
    """Return z with P(|Z| <= z) = confidence for a standard normal Z: 1.96 for 0.95."""
    return float(special.ndtri(0.5 + confidence / 2))


def wilson(successes: float, trials: int, confidence: float = 0.95) -> Estimate:
    """Return the score interval of a proportion.

    Source: Wilson (1927); recommended by Brown, Cai & DasGupta (2001) for its mean coverage at every n.
    """
    if trials <= 0:
        return unknown(0, "there are no rows to count", confidence=confidence)
    z = normal_quantile(confidence)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes <= 0 else max(0.0, centre - half)  # rounding would leave 1e-18 where the bound is exactly 0
    high = 1.0 if successes >= trials else min(1.0, centre + half)
    return Estimate(share, low, high, trials, "wilson", confidence)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """Return the exact interval of a proportion: its coverage is never below `confidence`.

    Source: Clopper & Pearson (1934), by quantiles of the beta distribution.
    """
    if trials <= 0:
        return unknown(0, "there are no rows to count", confidence=confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - tail))
    return Estimate(successes / trials, low, high, trials, "clopper-pearson", confidence)


def quantile_interval(sorted_values: Array, q: float, confidence: float = 0.95) -> Estimate:
    """Return the sample quantile with its interval between two order statistics; free of any distribution.

    Shapes: sorted_values (n,), ascending. An end that n values cannot bound is infinite: the upper end of p99 needs 368
    values at 95 %. Source: David & Nagaraja, Order Statistics (2003), 7.1: P(X_(l) <= x_q < X_(u)) = P(l <= Bin(n, q) <
    u).
    """
    n = len(sorted_values)
    if n == 0:
        return unknown(0, "there are no measurements", confidence=confidence)
    tail = (1 - confidence) / 2
    cumulative = special.bdtr(np.arange(n + 1), n, q)  # P(Bin <= k), k = 0..n
    lower_rank = int(np.searchsorted(cumulative, tail, side="right"))  # P(Bin < l) <= tail
    upper_rank = int(np.searchsorted(cumulative, 1 - tail, side="left")) + 1  # P(Bin >= u) <= tail
    value = float(sorted_values[max(math.ceil(n * q) - 1, 0)])
    low = float(sorted_values[lower_rank - 1]) if lower_rank >= 1 else -math.inf
    high = float(sorted_values[upper_rank - 1]) if upper_rank <= n else math.inf
    return Estimate(value, low, high, n, f"order statistics of p{q * 100:g}", confidence)


def paired_proportions(only_first: int, only_second: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return first minus second proportion, both measured on the same n rows, from the discordant counts.

    The score interval: at difference 0 its statistic is McNemar's (b − c)/√(b + c). Source: Tango (1998), Statistics in
    Medicine 17: 891-908, equations 3 to 5.
    """
    if n <= 0:
        return unknown(0, "there are no rows to count", confidence=confidence)
    z = normal_quantile(confidence)
    value = (only_first - only_second) / n

    def score(d: float) -> float:
        a, b, c = 2 * n, -only_first - only_second + (2 * n - only_first + only_second) * d, -only_second * d * (1 - d)
        q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * q + d * (1 - d))
        distance = only_first - only_second - n * d
        return (
            distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0
        )

    def solve(inside: float, outside: float, target: float) -> float:
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if abs(score(middle)) <= target else (inside, middle)
        return inside

    return Estimate(value, solve(value, -1.0, z), solve(value, 1.0, z), n, "tango (mcnemar score)", confidence)
