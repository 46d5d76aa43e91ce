"""How a measured number becomes a verdict here: exact counts, and intervals of shares, means and correlations against
limits.

Only what a data check needs; two-sample statistics are `judge`'s.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from mlplan.ledger.evidence import Verdict

Interval = tuple[float, float]
_MOST_ROWS = 10**12


def wilson(hits: float, n: float, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share; (0, 1) when n is 0.

    Source: E. B. Wilson, JASA 22 (1927) 209-212; centre and half-width as in Newcombe, Statist. Med. 17 (1998) 857,
    method 3.
    """
    if n <= 0:
        return 0.0, 1.0
    z = _z(confidence)
    share, z2 = hits / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return low, high


def mean_interval(mean: float, deviation: float, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the normal interval of a mean (central limit theorem), None with fewer than two values. deviation: of the
    sample.
    """
    if n < 2 or not math.isfinite(mean) or not math.isfinite(deviation):
        return None
    half = _z(confidence) * deviation / math.sqrt(n)
    return mean - half, mean + half


def correlation_interval(correlation: float, n: int, confidence: float = 0.95) -> Interval | None:
    """Return Fisher's interval of a Pearson correlation, None with fewer than four pairs.

    Source: R. A. Fisher, Metron 1 (1921) 3-32: atanh(r) is near normal with deviation 1/sqrt(n-3).
    """
    if n < 4 or not -1 <= correlation <= 1:
        return None
    if abs(correlation) == 1:
        return correlation, correlation
    centre, half = math.atanh(correlation), _z(confidence) / math.sqrt(n - 3)
    return math.tanh(centre - half), math.tanh(centre + half)


def against(interval: Interval, at_least: float | None, at_most: float | None) -> Verdict:
    """Return pass when the whole interval keeps the limits, fail when the whole of it breaks one, otherwise
    inconclusive.
    """
    low, high = interval
    if (at_least is not None and high < at_least) or (at_most is not None and low > at_most):
        return Verdict.FAIL
    if (at_least is None or low >= at_least) and (at_most is None or high <= at_most):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE


def rows_to_decide(share: float, n: int, at_least: float | None, at_most: float | None) -> int | None:
    """Return about how many rows in all would decide about a share that stays as it is; None when no number would."""
    size = max(n, 1)
    while size < _MOST_ROWS:
        size *= 2
        if against(wilson(share * size, size), at_least, at_most) is not Verdict.INCONCLUSIVE:
            return _bisect(share, size // 2, size, at_least, at_most)
    return None


def _bisect(share: float, low: int, high: int, at_least: float | None, at_most: float | None) -> int:
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        undecided = against(wilson(share * middle, middle), at_least, at_most) is Verdict.INCONCLUSIVE
        low, high = (middle, high) if undecided else (low, middle)
    return high


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)
